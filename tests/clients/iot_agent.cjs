// One day of an IoT agent made with FIWARE's library: node iot_agent.cjs BROKER PORT TENANT
// Prints what the library and the broker answered to each step, as one line of JSON.
process.env.IOTA_FALLBACK_TENANT = process.argv[4]; // Sources in a tenant are asked without one (4.14).
const agent = require("iotagent-node-lib");

const [broker, port, tenant] = process.argv.slice(2);
const context = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
const entity = "urn:ngsi-ld:Pump:pump1";
const device = {
  id: "pump1", name: entity, type: "Pump", service: tenant, subservice: "/", apikey: "key",
  active: [{ name: "temperature", type: "Number" }, { name: "location", type: "geo:point" }],
  lazy: [{ name: "pressure", type: "Number" }],
  commands: [{ name: "start", type: "command" }],
};
const configuration = {
  logLevel: "FATAL",
  contextBroker: { host: new URL(broker).hostname, port: new URL(broker).port, url: broker,
    ngsiVersion: "ld", jsonLdContext: context },
  server: { port: Number(port), host: "127.0.0.1", ldSupport: { datasetId: true, merge: false, null: true } },
  deviceRegistry: { type: "memory" }, types: {}, service: tenant, subservice: "/",
  providerUrl: `http://127.0.0.1:${port}`, deviceRegistrationDuration: "P1M", timestamp: true,
};

const call = (work, ...given) => new Promise((done, failed) =>
  work(...given, (error, answer) => error ? failed(error) : done(answer ?? null)));
const ask = async (path) => {
  const answer = await fetch(broker + path, { headers: { "NGSILD-Tenant": tenant } });
  return { status: answer.status, body: await answer.json() };
};
const patch = async (path, body) => {
  const answer = await fetch(`${broker}/ngsi-ld/v1/entities/${entity}/attrs${path}`, {
    method: "PATCH", body: JSON.stringify(body),
    headers: { "NGSILD-Tenant": tenant, "Content-Type": "application/json" },
  });
  return answer.status;
};
const measure = (value) => [{ name: "temperature", type: "Number", value },
  { name: "location", type: "geo:point", value: "10.2,56.15" }];

(async () => {
  const said = {};
  await call(agent.activate, configuration);
  agent.setDataQueryHandler((id, type, _service, _path, names, done) =>
    done(null, { id, type, ...Object.fromEntries(names.map((name) => [name, { type: "Property", value: 2.5 }])) }));
  const notified = new Promise((done) =>
    agent.setNotificationHandler((_device, values, answered) => { done(values); answered(); }));
  said.commands = [];
  agent.setCommandHandler((id, type, _service, _path, attributes, done) => {
    said.commands.push([id, attributes[0].name, attributes[0].value]);
    done(null, { id, type, attributes });
  });
  said.registered = (await call(agent.register, device)).registrationId;
  await call(agent.update, device.id, "Pump", "", measure(21.5), device);
  await call(agent.update, device.id, "Pump", "", measure(22.5), device);
  said.read = await call(agent.query, device.id, "Pump", "", ["temperature"], device);
  said.whole = await ask(`/ngsi-ld/v1/entities/${entity}`);
  said.lazy = await ask(`/ngsi-ld/v1/entities/${entity}?attrs=pressure`);
  said.told = await patch("/start", { type: "Property", value: { speed: 3 } });
  said.subscribed = await call(agent.subscribe, device, ["temperature"], ["temperature"], "normalized");
  await patch("", { temperature: { type: "Property", value: 30 } });
  said.notified = await notified;
  said.listed = await ask("/ngsi-ld/v1/csourceRegistrations?type=Pump");
  await call(agent.unregister, device.id, "key", tenant, "/");
  said.after = await ask("/ngsi-ld/v1/csourceRegistrations?type=Pump");
  process.stdout.write(JSON.stringify(said) + "\n", () => process.exit(0));
})().catch((error) => {
  process.stderr.write(`${error.stack ?? JSON.stringify(error)}\n`, () => process.exit(1));
});
