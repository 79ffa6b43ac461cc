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
// The middle of an element in the window, once that is where it is seen and it can be used.
const place = (selector, text = "") => {
  const { element, tree } = found(selector, text) ?? {};
  if (!element || element.disabled) return null;
  element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const at = element.getBoundingClientRect();
  const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
  const top = tree.root.elementFromPoint(x, y);
  if (!top || !(element.contains(top) || top.contains(element))) return null;
  return { x: x + tree.x, y: y + tree.y };
};
const said = () => [...trees()].map(({ root }) => root.body?.innerText ?? [...root.children].map(child => child.innerText ?? "").join("\n")).join("\n")
