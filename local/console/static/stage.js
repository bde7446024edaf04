import { $, act, listen, make, say, time } from './base.js'

let conversations = null
let shown = null

function showConversations(told) {
  if (told.error) { $('#conversations-note').textContent = told.error; $('#conversations-note').className = 'bad'; return }
  conversations = told
  shown ??= Object.keys(told.states).find(state => told.counts[state]) ?? Object.keys(told.states)[0]
  draw()
}

function draw() {
  const { counts, states, unreadable, is_whole, at } = conversations
  $('#states').replaceChildren(...Object.entries(counts).map(([state, count]) => make('button', {
    type: 'button', 'data-state': state, 'aria-current': state === shown ? 'true' : null, onclick: () => { shown = state; draw() }
  }, `${state} ${count}`)))
  const notes = [`as of ${time(at)}`]
  if (!is_whole) notes.push('the table is large: only what is locked or waits for the sweep is listed')
  if (unreadable) notes.push(`${unreadable} rows cannot be read: run the doctor`)
  $('#conversations-note').textContent = notes.join('; ')
  $('#conversations-note').className = 'empty'
  $('#conversations').replaceChildren(...states[shown].map(one => make('tr', { 'data-conversation': one.id },
    make('td', {}, make('button', { type: 'button', onclick: () => ask(one.id) }, one.id), ` ${one.whose}`),
    make('td', {}, one.company), make('td', {}, one.code ? `${one.status}: ${one.code}` : one.status),
    make('td', {}, String(one.waiting)), make('td', {}, one.since ? new Date(one.since).toLocaleString() : ''),
    make('td', {}, ['stalled', 'locked'].includes(shown) ? make('button', { type: 'button', 'data-unlock': one.id, onclick: () => unlock(one.id) }, 'Unlock …') : ''))))
  if (!states[shown].length) $('#conversations').append(make('tr', {}, make('td', { colspan: '6', class: 'empty' }, `no conversation is ${shown}`)))
}

async function confirmed(words) {
  const dialog = $('#confirm')
  $('p', dialog).textContent = words
  dialog.showModal()
  await new Promise(done => dialog.addEventListener('close', done, { once: true }))
  return dialog.returnValue === 'yes'
}

async function unlock(conversation) {
  const dry = await act('unlock', { conversation, now: shown === 'locked', dry_run: true })
  if (!dry) return
  if (!dry.may) { say(dry.would); return }
  if (!await confirmed(`Unlock ${conversation}? ${dry.would}.`)) return
  const done = await act('unlock', { conversation, now: shown === 'locked', dry_run: false })
  if (done) say(done.done ? `${conversation} is unlocked.` : `${conversation} changed meanwhile; look again.`)
}

async function ask(asked) {
  $('#ask').elements.asked.value = asked
  $('#story').replaceChildren(make('p', { class: 'empty' }, 'looking …'))
  const told = await act('story', { asked })
  $('#story').replaceChildren(...(told?.stories ?? []).map(one => make('article', {},
    make('p', { class: one.is_a_fault_of_ours ? 'bad' : 'good', 'data-verdict': one.verdict }, one.text),
    make('ol', {}, ...one.events.map(event => make('li', {}, `${new Date(event.at).toLocaleString()} ${event.target} ${event.what}`))),
    ...(one.messages ?? []).map(message => make('p', { class: message.direction === 'INBOUND' ? 'said' : '' }, message.text ?? '')))))
}
$('#ask').addEventListener('submit', event => { event.preventDefault(); ask(event.target.elements.asked.value) })

function showLetters(told) {
  const box = $('#letters-count')
  if (told.error) { box.replaceChildren(make('p', { class: 'bad' }, told.error)); return }
  const some = Object.entries(told.queues).filter(([, count]) => count)
  box.replaceChildren(...some.map(([queue, count]) => make('p', { 'data-queue': queue }, `${queue}: ${count} `,
    make('button', { type: 'button', onclick: () => redrive('redrive', { queue }, queue) }, 'Redrive all …'))))
  if (!some.length) box.append(make('p', { class: 'empty' }, 'none'))
}

async function redrive(action, what, name) {
  const dry = await act(action, { ...what, dry_run: true })
  if (!dry) return
  const counts = told => Object.entries(told.counts).map(([result, count]) => `${count} ${result}`).join(', ') || 'nothing'
  if (!await confirmed(`Redrive ${name}? ${counts(dry)}.`)) return
  const done = await act(action, { ...what, dry_run: false })
  if (done) { say(counts(done)); list() }
}

async function list() {
  const told = await act('letters', {})
  if (!told) return
  $('#letters').replaceChildren(...told.letters.map(one => make('div', { class: 'item', 'data-letter': one.id },
    make('p', {}, `${one.queue} ${one.conversation}: ${one.reason}`),
    one.is_readable ? make('button', { type: 'button', onclick: () => redrive('redrive-one', { id: one.id }, one.id.slice(0, 8)) }, 'Redrive …') : make('p', { class: 'bad' }, 'nobody can read it'))))
}
$('#letters-list').addEventListener('click', list)

$('#doctor-run').addEventListener('click', async () => {
  $('#doctor').replaceChildren(make('p', { class: 'empty' }, 'examining …'))
  const told = await act('doctor', {})
  const found = told?.findings ?? []
  $('#doctor').replaceChildren(...found.map(one => make('div', { class: 'item', 'data-weight': one.weight }, make('p', { class: one.weight === 'fault' ? 'bad' : '' }, `${one.area}: ${one.what}`), make('pre', {}, one.fix))))
  if (told && !found.length) $('#doctor').append(make('p', { class: 'good' }, 'nothing is wrong'))
})

listen({ conversations: showConversations, 'dead-letters': showLetters })
