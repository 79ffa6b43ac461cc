(function (prefix, base, host) {
  "use strict";
  if (!prefix) return;
  const below = (path, of) => path === of || path.startsWith(of + "/");
  const rooted = /^[\0- ]*[\\/](?![\\/])/;
  const named = /^[\0- ]*(?:[\\/]|[a-z][a-z0-9+.-]*:)/i;

  // What leads to the root of this origin, or names the backend, leads below the prefix; everything else stays as it is.
  const move = (input) => {
    const text = input instanceof URL ? input.href : input;
    if (typeof text !== "string" || !named.test(text)) return input;
    let url;
    try {
      url = new URL(text, document.baseURI);
    } catch {
      return input;
    }
    const isSocket = url.protocol === "ws:" || url.protocol === "wss:";
    if (!isSocket && url.protocol !== "http:" && url.protocol !== "https:") return input;
    if (url.host !== location.host && url.host !== host) return input;
    if (url.host === location.host && below(url.pathname, prefix)) return input;
    // What names this origin and a path of others is meant as it is written.
    if (url.host === location.host && !rooted.test(text) && below(url.pathname, "/proxy")) return input;
    let path = url.pathname;
    if (base && below(path, base)) path = path.slice(base.length) || "/";
    if (!below(path, prefix)) path = prefix + path;
    if (rooted.test(text)) return path + url.search + url.hash;
    const secure = location.protocol === "https:";
    const scheme = isSocket ? (secure ? "wss:" : "ws:") : location.protocol;
    return scheme + "//" + location.host + path + url.search + url.hash;
  };
  const moveList = (text) =>
    typeof text === "string" ? text.replace(/(^|,\s+|^\s+)([^\s,]\S*)/g, (_, before, url) => before + move(url)) : text;

  const define = (owner, name, value) =>
    Object.defineProperty(owner, name, { value, writable: true, enumerable: true, configurable: true });
  const moveArgument = (owner, name, at) => {
    const original = owner && owner[name];
    if (typeof original !== "function") return;
    define(owner, name, function (...given) {
      if (given.length > at && given[at] != null) given[at] = move(given[at]);
      return Reflect.apply(original, this, given);
    });
  };
  const moveConstructor = (name) => {
    const original = window[name];
    if (typeof original !== "function") return;
    const moved = new Proxy(original, {
      construct: (target, given, made) =>
        Reflect.construct(target, [move(given[0]), ...given.slice(1)], made === moved ? target : made),
    });
    original.prototype.constructor = moved;
    define(window, name, moved);
  };

  moveArgument(window, "fetch", 0);
  moveArgument(window, "open", 0);
  moveArgument(XMLHttpRequest.prototype, "open", 1);
  moveArgument(Navigator.prototype, "sendBeacon", 0);
  moveArgument(History.prototype, "pushState", 2);
  moveArgument(History.prototype, "replaceState", 2);
  ["Request", "WebSocket", "EventSource", "Worker", "SharedWorker"].forEach(moveConstructor);
  if (window.ServiceWorkerContainer) {
    const register = ServiceWorkerContainer.prototype.register;
    define(ServiceWorkerContainer.prototype, "register", function (script, options) {
      const scope = options && options.scope;
      const moved = scope == null ? options : { ...options, scope: move(scope) };
      return Reflect.apply(register, this, [move(script), moved]);
    });
  }

  const attributes = {
    href: ["a", "area", "base", "link", "image", "use"],
    src: ["audio", "embed", "frame", "iframe", "img", "input", "script", "source", "track", "video"],
    action: ["form"],
    formaction: ["button", "input"],
    data: ["object"],
    poster: ["video"],
    ping: [],
    srcset: ["img", "source"],
    imagesrcset: ["link"],
  };
  attributes["xlink:href"] = attributes.href;
  const moveValue = (element, name, value) => {
    const key = String(name).toLowerCase();
    const elements = attributes[key];
    if (!elements || !elements.includes(element.localName)) return value;
    return key.endsWith("srcset") ? moveList(value) : move(value);
  };
  const setAttribute = Element.prototype.setAttribute;
  define(Element.prototype, "setAttribute", function (name, value) {
    return Reflect.apply(setAttribute, this, [name, moveValue(this, name, value)]);
  });
  const setAttributeNS = Element.prototype.setAttributeNS;
  define(Element.prototype, "setAttributeNS", function (space, name, value) {
    return Reflect.apply(setAttributeNS, this, [space, name, moveValue(this, name, value)]);
  });
  const properties = {
    href: "Anchor Area Base Link",
    src: "Media Embed Frame IFrame Image Input Script Source Track",
    action: "Form",
    formAction: "Button Input",
    data: "Object",
    poster: "Video",
    srcset: "Image Source",
    imageSrcset: "Link",
  };
  for (const [name, owners] of Object.entries(properties)) {
    for (const owner of owners.split(" ")) {
      const constructor = window["HTML" + owner + "Element"];
      const property = constructor && Object.getOwnPropertyDescriptor(constructor.prototype, name);
      if (!property || !property.set) continue;
      const moved = name.toLowerCase().endsWith("srcset") ? moveList : move;
      Object.defineProperty(constructor.prototype, name, {
        ...property,
        set(value) {
          Reflect.apply(property.set, this, [moved(value)]);
        },
      });
    }
  }
  if (document.currentScript) document.currentScript.remove();
})
