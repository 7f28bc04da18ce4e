// An OAuth2 server has sent the browser here. What it says stands in the address; Swagger UI, in
// the window that opened this one, is told and goes on with it.
"use strict";

(function () {
  // Not URLSearchParams: some servers leave the "+" of a code or a state as it is, and no code has
  // a space.
  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  // The implicit flow answers behind "#", the others behind "?".
  function answerIn(address) {
    const inHash = /(code|token|error)/.test(address.hash);
    const text = (inHash ? address.hash : address.search).slice(1).replace("?", "&");
    const answer = new Map();
    for (const part of text.split("&")) {
      const [name, ...value] = part.split("=");
      answer.set(decoded(name), decoded(value.join("=")));
    }
    return Object.fromEntries(answer);
  }

  function complaint(answer) {
    if (!answer.error) {
      return "The server sent no code, and no error.";
    }
    const more = answer.error_uri ? " More: " + answer.error_uri : "";
    return answer.error + ". " + (answer.error_description || "") + more;
  }

  function tell(waiting, answer) {
    const auth = waiting.auth;
    const redirectUrl = waiting.redirectUrl;
    const report = (message) =>
      waiting.errCb({ authId: auth.name, source: "auth", level: "error", message: message });
    if (answer.state !== waiting.state) {
      // RFC 6749 section 10.12: somebody else may have made this answer.
      report("The state is not the one that was sent, so the answer is not used.");
    } else if (auth.schema.get("flow") === "implicit") {
      waiting.callback({ auth: auth, token: answer, isValid: true, redirectUrl: redirectUrl });
    } else if (answer.code) {
      delete waiting.state;
      auth.code = answer.code;
      waiting.callback({ auth: auth, redirectUrl: redirectUrl });
    } else {
      report(complaint(answer));
    }
  }

  const waiting = window.opener && window.opener.swaggerUIRedirectOauth2;
  if (waiting) {
    tell(waiting, answerIn(window.location));
    window.close();
  } else {
    document.body.append("No window of Swagger UI waits for this answer. Open the page again.");
  }
})();
