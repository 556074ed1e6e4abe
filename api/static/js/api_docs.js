// Starts Swagger UI on the page of templates/api_docs.html; nothing is fetched from elsewhere.

const place = document.getElementById("api-docs");

globalThis.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.openapi,
  deepLinking: true,
  validatorUrl: null, // the default asks a public validator about our document
});
