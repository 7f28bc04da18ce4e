// ReDoc and Scalar write their styles into <style> elements, which a strict Content-Security-Policy
// forbids, while it allows scripts to make stylesheets. So here a <style> element made by a script
// is one in name only, and what it holds goes to a stylesheet that is made.
"use strict";

(function () {
  if (!("adoptedStyleSheets" in Document.prototype)) {
    return;
  }
  const sheets = new Map(); // by their elements
  const texts = new WeakMap(); // what a sheet was made from last
  const createElement = Document.prototype.createElement;

  Document.prototype.createElement = function (name, ...options) {
    const isStyle = String(name).toLowerCase() === "style";
    const element = createElement.call(this, isStyle ? "link" : name, ...options);
    if (isStyle) {
      const sheet = new CSSStyleSheet();
      Object.defineProperty(element, "sheet", { get: () => sheet });
      sheets.set(element, sheet);
    }
    return element;
  };

  function follow() {
    const own = new Set(sheets.values());
    const used = [];
    for (const element of document.querySelectorAll("link")) {
      const sheet = sheets.get(element);
      if (!sheet) {
        continue;
      }
      const text = element.textContent;
      if (text !== (texts.get(sheet) || "")) {
        texts.set(sheet, text);
        sheet.replaceSync(text);
      }
      used.push(sheet);
    }
    const others = document.adoptedStyleSheets.filter((sheet) => !own.has(sheet));
    const wanted = [...others, ...used];
    const adopted = document.adoptedStyleSheets;
    if (wanted.length !== adopted.length || wanted.some((sheet, at) => sheet !== adopted[at])) {
      document.adoptedStyleSheets = wanted;
    }
  }

  const observed = { childList: true, characterData: true, subtree: true };
  new MutationObserver(follow).observe(document, observed);
})();
