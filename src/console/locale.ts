/**
 * uPlot asks for the number format of the browser's language as it is loaded, and throws if that is none: a Chromium
 * without a locale names its language `en-US@posix`. Imported before uPlot.
 */
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en" });
}
