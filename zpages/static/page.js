// Keeps the page live; without this file it is loaded again every five seconds.

const page = document.getElementById("page");

// ------------------------------------------------------- what has changed

/** Puts an element that is already there somewhere else, without a loss of focus where the browser can. */
const move = (parent, child, before) => (parent.moveBefore ?? parent.insertBefore).call(parent, child, before);

const isAlike = (one, other) => one?.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");

/** Brings an element or a text to what a fresh one says. It stays itself: a reader may be inside. */
function refresh(node, fresh) {
  if (node.isEqualNode(fresh)) return;
  if (node.nodeType !== Node.ELEMENT_NODE) {
    node.data = fresh.data;
    return;
  }
  for (const { name } of [...node.attributes]) {
    // Which <details> are open is for the reader.
    if (!fresh.hasAttribute(name) && name !== "open") node.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  refreshInside(node, fresh);
}

/** Children with an id keep their element wherever they go, others as long as nothing changes but text and attributes. */
function refreshInside(parent, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  const known = new Map();
  for (const child of [...parent.children]) {
    if (!child.id) continue;
    if (wanted.has(child.id)) known.set(child.id, child);
    else child.remove();
  }
  let at = parent.firstChild;
  for (const next of [...fresh.childNodes]) {
    const same = next.id ? known.get(next.id) : isAlike(at, next) && at;
    if (!same) {
      parent.insertBefore(next, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else move(parent, same, at);
    refresh(same, next);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// ------------------------------------------------------------------- live

/** Something comes each second. */
const PATIENCE = 5_000;

follow(page.dataset.live, document.getElementById("live"), {
  page: (html) => refreshInside(page, new DOMParser().parseFromString(html, "text/html").body),
}, PATIENCE);
