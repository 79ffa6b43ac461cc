module.exports = {
  uiHost: "127.0.0.1",
  uiPort: @port@,
  httpRoot: "@base@/",
  flowFile: "flows.json",
  telemetry: { enabled: false },
  editorTheme: { tours: false },
  externalModules: { palette: { allowInstall: false } },
};
