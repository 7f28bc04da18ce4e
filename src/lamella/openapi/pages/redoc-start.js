// ReDoc fetches its maker's logo from its maker's server. These pages ask nobody but their own
// server for anything, so the maker's name stands in its place.
"use strict";

(function () {
  const name = new URL("redoc.svg", document.currentScript.src).href;
  const isLogo = (url) => String(url).startsWith("https://cdn.redoc.ly/redoc/logo-mini");
  const src = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  const setAttribute = Element.prototype.setAttribute;

  Element.prototype.setAttribute = function (attribute, value) {
    setAttribute.call(this, attribute, attribute === "src" && isLogo(value) ? name : value);
  };

  Object.defineProperty(HTMLImageElement.prototype, "src", {
    ...src,
    set(url) {
      src.set.call(this, isLogo(url) ? name : url);
    },
  });
})();
