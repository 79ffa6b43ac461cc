// Trees of the page, shadow trees and frames of its own origin, each with the place of its frame in the window.
const trees = function* (root = document, x = 0, y = 0) {
  yield { root, x, y };
  for (const element of root.querySelectorAll("*")) {
    if (element.shadowRoot) yield* trees(element.shadowRoot, x, y);
    if (element.tagName === "IFRAME" && element.contentDocument) {
      const at = element.getBoundingClientRect();
      yield* trees(element.contentDocument, x + at.x, y + at.y);
    }
  }
};
// As it is written, or as styles make it look.
const says = (element, text) => [element.textContent, element.innerText, element.value].some(said => `${said ?? ""}`.includes(text));
const shown = element => element.checkVisibility() && element.getClientRects().length > 0;
const found = (selector, text = "") => {
  for (const tree of trees()) {
    for (const element of tree.root.querySelectorAll(selector)) {
      if (shown(element) && says(element, text)) return { element, tree };
    }
  }
  return null;
};
const find = (selector, text = "") => found(selector, text)?.element ?? null;
const frame = () => new Promise(done => requestAnimationFrame(done));
const middle = ({ element, tree }) => {
  const at = element.getBoundingClientRect();
  return { x: tree.x + at.x + at.width / 2, y: tree.y + at.y + at.height / 2 };
};
// The middle of an element in the window, once it can be used, is not covered, and rests there.
const place = async (selector, text = "") => {
  const target = found(selector, text);
  if (!target || target.element.disabled || document.readyState !== "complete") return null;
  const { element, tree } = target;
  element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const { x, y } = middle(target);
  await frame();
  await frame();
  const still = middle(target);
  const top = tree.root.elementFromPoint(x - tree.x, y - tree.y);
  const open = top && (element.contains(top) || top.contains(element));
  return open && still.x === x && still.y === y ? still : null;
};
const said = () => [...trees()].map(({ root }) => root.body?.innerText ?? [...root.children].map(child => child.innerText ?? "").join("\n")).join("\n")
