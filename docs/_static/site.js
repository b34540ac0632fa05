/* What is wider than the screen can be scrolled by keys, and the columns of such a table
are not squeezed; pictures lead to themselves at full size, and the theme's headings and
sidebars have what screen readers ask for. */
"use strict";

(() => {
  const WIDE = ".table-wrapper, .highlight pre, div.math";

  function mark() {
    document.querySelectorAll(WIDE).forEach((part) => {
      part.classList.remove("wide"); // which makes it wider still
      const wide = part.scrollWidth > part.clientWidth;
      part.classList.toggle("wide", wide);
      if (wide) {
        part.tabIndex = 0;
      } else {
        part.removeAttribute("tabindex");
      }
    });
  }

  function link() {
    document.querySelectorAll("article img").forEach((picture) => {
      if (picture.closest("a")) return;
      const around = document.createElement("a");
      around.href = picture.src;
      picture.replaceWith(around);
      around.append(picture);
    });
  }

  function name() {
    document.querySelectorAll(".caption[role=heading]").forEach((caption) => {
      caption.setAttribute("aria-level", "2");
    });
    document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "all pages");
    document.querySelector(".toc-drawer")?.setAttribute("aria-label", "this page");
  }

  document.addEventListener("DOMContentLoaded", () => { name(); link(); mark(); });
  window.addEventListener("resize", mark);
})();
