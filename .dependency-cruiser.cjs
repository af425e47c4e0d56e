/** The directions of the house: one rule a line of the drawing. */
const provider = "^provider/src";
const within = (room, allowed) => ({
  name: `${room}-knows-only-what-is-below`,
  severity: "error",
  from: { path: `${provider}/${room}/`, pathNot: "\\.test\\.ts$" },
  to: { path: `${provider}/`, pathNot: `${provider}/(${[room, ...allowed].join("|")})/` },
});
const wall = (name, module, owners) => ({
  name,
  severity: "error",
  from: { path: "^(provider|sdk)/src", pathNot: `(${owners.join("|")}|\\.test\\.(support\\.)?ts$)` },
  to: { path: module },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "spec-knows-nobody",
      severity: "error",
      from: { path: "^sdk/src/spec" },
      to: { path: "^(provider/|sdk/src/(?!spec))" },
    },
    // The closures of the dynamic resources do, by `require`, in the provider's process.
    {
      name: "sdk-never-loads-the-provider",
      severity: "error",
      from: { path: "^sdk/src" },
      to: { path: "^provider/", dependencyTypesNot: ["require"] },
    },
    within("model", []),
    within("xds", ["model", "gen"]),
    within("ca", ["model", "store"]),
    within("acl", ["model", "store"]),
    within("store", ["model"]),
    within("catalog", ["model", "store"]),
    within("ads", ["model", "gen"]),
    within("federation", ["model", "store"]),
    within("server", ["model", "store", "catalog", "acl"]),
    within("runtime", ["model", "toolchain"]),
    within("toolchain", ["model"]),
    within("pulumi", ["model", "runtime", "toolchain"]),
    within("cli", ["model", "runtime", "toolchain", "pulumi"]),
    {
      name: "the-control-plane-is-a-rim",
      severity: "error",
      from: { path: provider, pathNot: `(${provider}/control-plane/|\\.test\\.ts$)` },
      to: { path: `${provider}/control-plane/` },
    },
    {
      name: "model-is-pure",
      severity: "error",
      from: { path: `${provider}/model/`, pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?crypto$" },
    },
    wall("x509-in-one-room", "node_modules/@peculiar", [`${provider}/ca/`]),
    wall("dockerode-in-one-room", "node_modules/dockerode", [`${provider}/runtime/docker/`]),
    wall("sqlite-in-one-file", "^(node:)?sqlite$", [`${provider}/store/sqlite`]),
    wall("envoy-types-in-two-rooms", `${provider}/gen/`, [`${provider}/xds/`, `${provider}/ads/`, `${provider}/gen/`]),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "provider/tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["source", "import", "types", "default"] },
    exclude: { path: "(^|/)dist/" },
    doNotFollow: { path: "node_modules" },
  },
};
