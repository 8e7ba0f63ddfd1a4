/** A parsed curl command line. Tests send it themselves, without a shell or curl. */
export interface CurlCommand {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

/** Splits a command into words. Throws when a shell would expand any part of it. */
function words(command: string): string[] {
  const rest = command.replaceAll(/(?:"(?:[^"\\$`]|\\.)*"|'[^']*'|[\w./:=@,%+-]|\s)/g, '');
  if (rest !== '') throw new Error(`a shell would not pass on: ${rest}`);
  const all = command.match(/(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'])+/g) ?? [];
  return all.map((word) =>
    word.replaceAll(
      /"((?:[^"\\]|\\.)*)"|'([^']*)'/g,
      (_, double, single) => single ?? double.replaceAll(/\\(.)/g, '$1'),
    ),
  );
}

const options: Readonly<Record<string, 'method' | 'header' | 'body' | 'user'>> = {
  '-u': 'user',
  ...{ '-X': 'method', '--request': 'method', '-H': 'header', '--header': 'header', '-d': 'body', '--data': 'body' },
};

/** Parses a curl command. Throws at an option this file does not know, and at a URL that curl would expand. */
export function readCurl(command: string): CurlCommand {
  const [, ...args] = words(command);
  let [url, method, body]: (string | undefined)[] = [];
  const headers: Record<string, string> = {};
  for (let word = args.shift(); word !== undefined; word = args.shift()) {
    const option = options[word];
    if (option === undefined) {
      if (word.startsWith('-') || /[[\]{}]/.test(word) || url !== undefined) throw new Error(`cannot read ${word}`);
      url = word;
      continue;
    }
    const value = args.shift() ?? '';
    if (option === 'method') method = value;
    else if (option === 'body') body = value;
    else if (option === 'user') headers.authorization = `Basic ${Buffer.from(value).toString('base64')}`;
    else headers[value.slice(0, value.indexOf(':')).toLowerCase()] = value.slice(value.indexOf(':') + 1).trim();
  }
  if (url === undefined) throw new Error('names no URL');
  return { url, method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body };
}
