// Starts Swagger UI with the settings that stand in the page as JSON, so that a policy which
// forbids scripts in the page itself does no harm.
"use strict";

(function () {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const options = settings.options;
  if (settings.oauth2RedirectPath) {
    options.oauth2RedirectUrl = window.location.origin + settings.oauth2RedirectPath;
  }
  options.presets = [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset];
  window.ui = SwaggerUIBundle(options);
  if (settings.oauth) {
    window.ui.initOAuth(settings.oauth);
  }
})();
