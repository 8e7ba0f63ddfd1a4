/** The examples of docs/clients.md, which the tests of the clients run as printed. */
import { ok } from 'node:assert';
import { codeBlocks, commands } from './markdown.mjs';

const languages = ['rust', 'python', 'typescript'];

/** The examples, each with the commands that install and generate its client: the console block before it. */
export const clientExamples = codeBlocks('docs/clients.md').flatMap(({ language, text }, index, all) => {
  const before = all[index - 1];
  return before && languages.includes(language) ? [{ language, code: text, setup: commands(before) }] : [];
});

/**
 * Returns the example of a language, with the URL and the key of a service. Stores the session that the example reads.
 *
 * @param {string} language @param {{ BASE_URL: string, API_KEY: string }} service
 */
export async function clientExample(language, { BASE_URL, API_KEY }) {
  const example = clientExamples.find((one) => one.language === language);
  ok(example, `docs/clients.md has no example for ${language}`);
  const response = await fetch(`${BASE_URL}/api/checkout-sessions/cs_test_1`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: '{"mode":"payment","submit_type":"pay","billing_address_collection":"auto","payment_method_types":["card"]}',
  });
  ok(response.ok, `the session of the example is not stored: ${response.status}`);
  const adapt = (/** @type {string} */ text) => adapted(text, { BASE_URL, API_KEY });
  return { code: adapt(example.code), setup: example.setup.map(adapt) };
}

/**
 * Puts the URL and the key of a service into an example.
 *
 * @param {string} text @param {{ BASE_URL: string, API_KEY: string }} service
 */
export function adapted(text, { BASE_URL, API_KEY }) {
  return text.replaceAll('http://127.0.0.1:3000', BASE_URL).replaceAll('KEY', API_KEY);
}

/** The examples of Stripe's SDKs, by language. @type {Record<string, string>} */
export const stripeExamples = Object.fromEntries(
  codeBlocks('docs/stripe-sdks.md').flatMap(({ language, text }) =>
    ['python', 'rust'].includes(language) ? [[language, text]] : [],
  ),
);

/** Checks that an example printed the session that it read. @param {string} output @param {string} [id] */
export function expectSession(output, id = 'cs_test_1') {
  ok(output.includes(id), `the example printed: ${output}`);
}
