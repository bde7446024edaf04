// What both consoles share: elements, the event stream, actions, and the line that says what went wrong.
export const $ = (selector, root = document) => root.querySelector(selector)

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.filter(one => one !== null && one !== undefined))
  return element
}

let hiding
export function say(words) {
  const toast = $('#toast')
  toast.textContent = words
  toast.classList.add('shown')
  clearTimeout(hiding)
  hiding = setTimeout(() => toast.classList.remove('shown'), 6000)
}

export async function act(name, document) {
  let answer
  try {
    answer = await fetch(`/do/${name}`, { method: 'POST', body: JSON.stringify(document), headers: { 'Content-Type': 'application/json' } })
  } catch {
    say('The console does not answer. Is it still running in the terminal?')
    return null
  }
  const told = await answer.json().catch(() => ({ error: `the console answered ${answer.status}` }))
  if (!answer.ok) { say(told.error); return null }
  return told
}

export function listen(topics) {
  const link = $('#link')
  const events = new EventSource('/events')
  events.onopen = () => { link.textContent = 'live'; link.className = '' }
  events.onerror = () => { link.textContent = 'connection lost; trying again …'; link.className = 'off' }
  for (const [topic, show] of Object.entries(topics)) {
    events.addEventListener(topic, event => show(JSON.parse(event.data)))
  }
}

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
export const time = iso => clock.format(new Date(iso))

// Draws once for many changes, with the next frame.
export function soon(draw) {
  let isPlanned = false
  return () => {
    if (isPlanned) return
    isPlanned = true
    requestAnimationFrame(() => { isPlanned = false; draw() })
  }
}

// Makes a list show these items, and touches only what differs.
const shown = new WeakMap()
export function show(list, items, draw) {
  const before = shown.get(list) ?? new Map()
  const now = new Map()
  for (const item of items) {
    let key = JSON.stringify(item)
    while (now.has(key)) key += ' '
    now.set(key, before.get(key) ?? draw(item))
  }
  shown.set(list, now)
  const kept = new Set(now.values())
  for (const one of [...list.children]) if (!kept.has(one)) one.remove()
  let place = list.firstElementChild
  for (const one of kept) {
    if (one === place) place = place.nextElementSibling
    else list.insertBefore(one, place)
  }
}

// The text that a person is writing survives a new rendering of what is around it.
export function replaceKeeping(box, key, ...children) {
  const typed = new Map([...box.querySelectorAll(`[${key}]`)].map(one => [one.getAttribute(key), one.value]))
  const focused = document.activeElement?.getAttribute?.(key)
  const place = document.activeElement?.selectionStart
  box.replaceChildren(...children)
  for (const one of box.querySelectorAll(`[${key}]`)) {
    if (typed.has(one.getAttribute(key))) one.value = typed.get(one.getAttribute(key))
    if (focused && one.getAttribute(key) === focused) { one.focus(); one.setSelectionRange?.(place, place) }
  }
}
