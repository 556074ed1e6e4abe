// Starts Swagger UI on our own description of the API; loaded by /docs (api/routes/docs.py).
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // the default asks a server on the internet
});
