"use strict";
// What the page does beyond being read: its theme, tables in another order, and all that is folded, in print.

(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const key = `theme of ${location.pathname}`;

  // A file's page may be refused any memory; then the theme lasts until it is closed.
  const recall = () => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const remember = (theme) => {
    try {
      sessionStorage.setItem(key, theme);
    } catch {
      // Nothing to be done.
    }
  };

  const themeNow = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");

  function setUpTheme(button) {
    const show = () => button.setAttribute("aria-pressed", String(themeNow() === "dark"));
    const kept = recall();
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    button.addEventListener("click", () => {
      root.dataset.theme = themeNow() === "dark" ? "light" : "dark";
      remember(root.dataset.theme);
      show();
      root.dispatchEvent(new CustomEvent("themechange"));
    });
    dark.addEventListener("change", show);
    button.hidden = false;
    show();
  }

  // Numbers first, by the number that a cell begins with; what has none goes last either way.
  function byColumn(index, sign) {
    const text = (row) => row.cells[index].textContent.trim();
    return (a, b) => {
      const [x, y] = [text(a), text(b)];
      const [p, q] = [parseFloat(x), parseFloat(y)];
      if (Number.isNaN(p) && Number.isNaN(q)) return sign * x.localeCompare(y);
      if (Number.isNaN(p) || Number.isNaN(q)) return Number.isNaN(p) ? 1 : -1;
      return sign * (p - q);
    };
  }

  function setUpSorting(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].sort(byColumn(index, up ? 1 : -1));
        table.tBodies[0].append(...rows);
      });
      head.replaceChildren(button);
    });
  }

  function setUpPrint() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")];
      opened.forEach((each) => { each.open = true; });
    });
    addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
  }

  setUpTheme(document.getElementById("theme"));
  document.querySelectorAll("table.sortable").forEach(setUpSorting);
  setUpPrint();
})();
