/* What is wider than the screen can be scrolled by keys, too. */
"use strict";

(() => {
  const WIDE = ".table-wrapper, .highlight pre, div.math";

  function mark() {
    document.querySelectorAll(WIDE).forEach((part) => {
      if (part.scrollWidth > part.clientWidth) {
        part.tabIndex = 0;
        part.setAttribute("role", "region");
        part.setAttribute("aria-label", "scrolls sideways");
      } else {
        ["tabindex", "role", "aria-label"].forEach((x) => part.removeAttribute(x));
      }
    });
  }

  document.addEventListener("DOMContentLoaded", mark);
  window.addEventListener("resize", mark);
})();
