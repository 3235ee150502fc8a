/**
 * uPlot creates a number format for the browser's language when it is loaded, and throws if that is not a language
 * tag. A Chromium without a locale has `en-US@posix`. Import this before uPlot.
 */
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en" });
}
