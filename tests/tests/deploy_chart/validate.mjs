// Holds objects of the Prometheus operator's kinds against its own schemas, strictly: a JSON array from standard input. The
// schemas let unknown fields pass, as the API server drops them in silence. So each field is given a value that no schema takes:
// where nobody minds, nobody knows the field.
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';

const KINDS = { PodMonitor, PrometheusRule };
const NOTHING = () => undefined;

function refusal(object) {
  try {
    new KINDS[object.kind](object).validate();
  } catch (error) {
    return error.message;
  }
}

/** Paths of the object's fields, those of `metadata` aside, which is Kubernetes' own. */
function* fields(value, path = []) {
  for (const [key, inner] of Object.entries(value)) {
    const own = [...path, key];
    if (own[0] === 'metadata') continue;
    yield own;
    if (inner !== null && typeof inner === 'object') yield* fields(inner, own);
  }
}

function without(object, path) {
  const copy = structuredClone(object);
  const last = path.at(-1);
  path.slice(0, -1).reduce((inner, key) => inner[key], copy)[last] = NOTHING;
  return copy;
}

let text = '';
for await (const piece of process.stdin) text += piece;
const wrong = [];
for (const object of JSON.parse(text)) {
  const name = `${object.kind} ${object.metadata?.name}`;
  const said = refusal(object);
  if (said) wrong.push(`${name}: ${said}`);
  for (const path of fields(object)) {
    if (!refusal(without(object, path))) wrong.push(`${name}: nobody knows ${path.join('.')}`);
  }
}
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
