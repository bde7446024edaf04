import { $, act, listen, make, replaceKeeping, say, show, soon, time } from './base.js'

const phones = new Map()
const PHASES = ['webhook', 'staged', 'batch', 'AI', 'reply', 'delivered']
const MARKS = { queued: '✓', sent: '✓', delivered: '✓✓', read: '✓✓ read', failed: '✗ failed', undelivered: '✗ not delivered' }
const ORDER = JSON.parse($('#phones').dataset.order)
const CHANNELS = { whatsapp: 'WhatsApp', sms: 'SMS', email: 'e-mail' }

function newPhone(told) {
  const article = $('#phone').content.cloneNode(true).firstElementChild
  const phone = { article, told, sending: [] }
  const form = $('form', article)
  const isMail = told.channel === 'email'
  article.dataset.conversation = told.conversation
  article.dataset.company = told.company
  article.setAttribute('aria-label', `${told.name}, ${CHANNELS[told.channel]}`)
  $('.name', article).textContent = told.name
  $('.channel', article).textContent = CHANNELS[told.channel]
  $('.company', article).textContent = `to ${told.company}`
  $('.subject', article).hidden = !isMail
  $('.file', article).hidden = !isMail
  for (const name of ['button', 'photo', 'location']) {
    $(`[data-do=${name}]`, article).hidden = isMail || (name !== 'photo' && told.channel !== 'whatsapp')
  }
  form.addEventListener('submit', event => {
    event.preventDefault()
    const body = form.elements.body.value
    if (!body.trim()) return
    form.elements.body.value = ''
    write(phone, { body, subject: form.elements.subject.value }, body)
  })
  form.elements.body.addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit() }
  })
  article.addEventListener('click', event => {
    const what = event.target.dataset?.do
    if (what === 'button') write(phone, { button: 'Yes' }, 'Yes')
    if (what === 'photo') write(phone, { photo: true }, 'a photo')
    if (what === 'location') write(phone, { location: true }, 'a location')
    if (what === 'forge') write(phone, { forge: true, body: 'Send my money elsewhere.' }, '')
    if (what === 'retry') act('retry', { conversation: told.conversation }).then(answer => answer && say(`The same request again: the webhook answers ${answer.status}.`))
  })
  $('input[type=file]', article).addEventListener('change', async event => {
    const file = event.target.files[0]
    if (!file) return
    const bytes = new Uint8Array(await file.arrayBuffer())
    let content = ''
    for (let at = 0; at < bytes.length; at += 0x8000) content += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
    write(phone, { body: form.elements.body.value, subject: form.elements.subject.value, file: { name: file.name, content: btoa(content) } }, file.name)
    form.elements.body.value = event.target.value = ''
  })
  phones.set(told.conversation, phone)
  const select = $('#company')
  if (![...select.options].some(one => one.value === told.company)) select.append(make('option', { value: told.company }, told.company))
  const later = ORDER.slice(ORDER.indexOf(told.conversation) + 1)
  const next = later.map(id => phones.get(id)?.article).find(Boolean)
  $('#phones').insertBefore(article, next === article ? null : next ?? null)
  filter()
  return phone
}

async function write(phone, what, shown) {
  const bubble = { text: shown, known: phone.told.bubbles.filter(one => one.mine).length }
  if (shown) { phone.sending.push(bubble); draw(phone) }
  const answer = await act('send', { conversation: phone.told.conversation, ...what })
  if (what.forge && answer) say(`The forged request was answered ${answer.status}.`)
  if (!answer || answer.status >= 300) { phone.sending = phone.sending.filter(one => one !== bubble); draw(phone) }
}

function showPhone(told) {
  const phone = phones.get(told.conversation) ?? newPhone(told)
  const mine = told.bubbles.filter(one => one.mine).length
  phone.sending = phone.sending.filter(one => one.known >= mine)
  phone.told = told
  draw(phone)
}

const changed = new Set()
const drawChanged = soon(() => {
  for (const phone of changed) drawNow(phone)
  changed.clear()
})
function draw(phone) { changed.add(phone); drawChanged() }

function drawNow({ article, told, sending }) {
  article.classList.toggle('locked', told.status === 'processing_reply')
  $('.state', article).textContent = [told.with_people ? 'with people' : '', told.status, told.about].filter(Boolean).join(' · ')
  show($('.bubbles', article), [...told.bubbles, ...sending, ...(told.typing ? ['typing …'] : [])], bubble)
}

function bubble(told) {
  if (typeof told === 'string') return make('li', { class: 'typing' }, told)
  if ('known' in told) return make('li', { class: 'mine sending' }, told.text, make('footer', {}, 'sending …'))
  return make('li', { class: `${told.mine ? 'mine' : ''} ${/^(refused|forged)/.test(told.mark) ? 'refused' : ''}`, 'data-mark': told.mark },
    told.subject ? make('b', {}, told.subject) : null,
    ...told.media.map(name => make('span', { class: 'media' }, `file: ${name}`)),
    told.text,
    make('footer', {}, time(told.at), ' ', make('span', { class: told.mark }, MARKS[told.mark] ?? told.mark)))
}

function filter() {
  for (const { article } of phones.values()) article.hidden = Boolean($('#company').value) && article.dataset.company !== $('#company').value
}
$('#company').addEventListener('change', filter)

function showLedger(told) {
  const sum = Object.entries(told).filter(([name]) => !['acknowledged', 'lost', 'doubled'].includes(name))
  const row = (name, count, kind) => make('div', { class: kind, 'data-name': name }, make('dt', {}, name), make('dd', {}, String(count)))
  $('#ledger').replaceChildren(row('acknowledged', told.acknowledged, ''), ...sum.map(([name, count]) => row(name, count, '')),
    ...['lost', 'doubled'].map(name => row(name, told[name], told[name] ? 'broken' : 'zero')))
}

let stories = []
const opened = new Set()
function showStories(told) { stories = told; drawStories() }
const drawStories = soon(() => {
  const items = stories.map(one => {
    const due = one.due_at ? Math.ceil((new Date(one.due_at) - Date.now()) / 1000) : -1
    return { ...one, name: phones.get(one.conversation)?.told.name ?? one.conversation ?? 'nobody', due }
  })
  show($('#stories'), items.length ? items : [null], story)
})

function story(one) {
  if (!one) return make('li', { class: 'empty' }, 'Write on a phone: the way of each message shows here.')
  const isWithPeople = one.end === 'with people' || one.marks.some(mark => mark.phase === 'people')
  const ways = isWithPeople ? ['webhook', 'staged', 'people'] : PHASES
  return make('li', { 'data-sid': one.sid, 'data-end': one.end },
    make('div', { class: 'head' }, make('strong', {}, one.name || 'nobody'), one.batch ? make('span', {}, `batch ${one.batch}`) : null,
      one.due >= 0 ? make('span', { class: 'end waiting' }, `window ${one.due} s`) : null,
      make('span', { class: `end ${one.end}` }, one.code ? `${one.end}: ${one.code}` : one.end)),
    make('div', { class: 'track', 'aria-hidden': 'true' }, ...ways.map(phase => {
      const marks = one.marks.filter(mark => mark.phase === phase)
      const isReached = marks.length || (phase === 'people' && one.end === 'with people')
      return make('span', { class: `${isReached ? 'reached' : ''} ${marks.some(mark => mark.loud) ? 'loud' : ''}` }, phase)
    })),
    make('details', { open: opened.has(one.sid), ontoggle: event => event.target.open ? opened.add(one.sid) : opened.delete(one.sid) },
      make('summary', {}, one.marks.at(-1)?.words ?? ''),
      make('ol', {}, ...one.marks.map(mark => make('li', { class: mark.loud ? 'loudly' : '' }, `${time(mark.at)} ${mark.words}`)))))
}
setInterval(() => { if (stories.some(one => one.due_at && new Date(one.due_at) > Date.now() - 2000)) drawStories() }, 1000)

function showInbox(items) {
  $('#inbox-count').textContent = items.filter(one => !one.done).length
  const drawn = items.map(one => make('div', { class: `item ${one.done ? 'done' : ''}`, 'data-item': one.id },
    make('strong', {}, one.conversation), ` ${one.company ?? ''}`,
    one.reason || one.requested_by ? make('p', { class: 'reason' }, `${one.requested_by ?? 'somebody'} asked for people${one.reason ? `: ${one.reason}` : ''}`) : null,
    ...one.messages.map(message => make('p', { class: 'said' }, message.text || '(no text)')),
    one.draft ? make('p', {}, make('em', {}, 'draft: '), one.draft) : null,
    one.history.length ? make('details', {}, make('summary', {}, `${one.history.length} earlier`), make('ol', {}, ...one.history.map(message => make('li', {}, `${message.mine ? '→' : '←'} ${message.text}`)))) : null,
    ...one.answers.map(answer => make('p', { class: 'good' }, `answered: ${answer}`)),
    one.done ? null : make('form', { onsubmit: event => { event.preventDefault(); answerItem(one.id, event.target) } },
      make('textarea', { name: 'text', 'data-keep': one.id, 'aria-label': 'Answer', placeholder: 'Answer as a person' }),
      make('div', { class: 'row' }, make('button', { class: 'main', type: 'submit' }, 'Answer'),
        one.draft ? make('button', { type: 'button', onclick: event => { event.target.form.elements.text.value = one.draft } }, 'Use the draft') : null,
        one.can_give_back ? make('button', { type: 'button', onclick: () => act('give-back', { item: one.id }) }, 'Give back to the AI') : null,
        make('button', { type: 'button', onclick: () => act('close', { item: one.id }) }, 'Close')))))
  if (!drawn.length) drawn.push(make('p', { class: 'empty' }, 'Nobody waits for a person. Clara’s messages come here.'))
  replaceKeeping($('#inbox'), 'data-keep', ...drawn)
}

async function answerItem(item, form) {
  const text = form.elements.text.value
  if (await act('answer', { item, text })) { for (const one of document.querySelectorAll('[data-keep]')) if (one.dataset.keep === item) one.value = '' }
}

$('#faults').addEventListener('submit', event => {
  event.preventDefault()
  const chosen = event.submitter
  const document = { name: chosen.value }
  if (chosen.dataset.one) document.conversation = event.target.elements.conversation.value
  act('fault', document).then(answer => answer && say(`Ordered: ${chosen.textContent}.`))
})

drawStories()
listen({
  phone: showPhone,
  ledger: showLedger,
  stories: showStories,
  inbox: showInbox,
  orders: told => $('#orders').replaceChildren(...told.map(one => make('li', {}, one)))
})
