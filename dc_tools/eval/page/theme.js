/* Runs before anything is drawn, so that a dark page never flashes white. */
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let kept = new URLSearchParams(location.search).get("theme");
  try { kept = kept || localStorage.getItem("dc-theme"); } catch { /* a page from disk may have no storage */ }
  const follow = () => { document.documentElement.dataset.theme = kept || (dark.matches ? "dark" : "light"); };
  dark.addEventListener("change", follow);
  follow();
})();
