// Before the first paint: the theme and language that were chosen, so that nothing flashes.
try {
  const { theme, language } = JSON.parse(localStorage.getItem("sansi.preferences") ?? "{}");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  if (language === "zh" || (!language && /^zh\b/i.test(navigator.language))) document.documentElement.lang = "zh-Hans";
} catch {
  // Storage may be forbidden; the browser's own wishes hold then.
}
