import type { OpenAPIV3 } from 'openapi-types';

/** Examples of bodies by the name of their component. */
export type BodyExamples = Readonly<Record<string, unknown>>;

/** Adds the parts of a document that @fastify/swagger has no option for: styles of parameters, and examples of bodies. */
export function addToDocument(document: OpenAPIV3.Document, examples: BodyExamples): OpenAPIV3.Document {
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path ?? {}) as OpenAPIV3.OperationObject[]) {
      for (const parameter of (operation.parameters ?? []) as OpenAPIV3.ParameterObject[]) styleParameter(parameter);
      const responses = Object.values(operation.responses) as OpenAPIV3.ResponseObject[];
      for (const body of [operation.requestBody as OpenAPIV3.RequestBodyObject | undefined, ...responses]) {
        for (const media of Object.values(body?.content ?? {})) addExample(media, examples);
      }
    }
  }
  return document;
}

/** Moves `style` and `explode` from the schema of a parameter, where routes declare them, to the parameter. */
function styleParameter(parameter: OpenAPIV3.ParameterObject): void {
  const schema = parameter.schema as OpenAPIV3.SchemaObject & { style?: string; explode?: boolean };
  if (schema.style === undefined) return;
  parameter.style = schema.style;
  // With a map here the Rust clients of openapi-generator 5.4 and 7.0 do not compile; with any object they do.
  if (schema.style === 'deepObject') delete schema.additionalProperties;
  if (schema.explode !== undefined) parameter.explode = schema.explode;
  delete schema.style;
  delete schema.explode;
}

function addExample(media: OpenAPIV3.MediaTypeObject, examples: BodyExamples): void {
  const reference = (media.schema as OpenAPIV3.ReferenceObject | undefined)?.$ref;
  const example = reference && examples[reference.slice(reference.lastIndexOf('/') + 1)];
  if (example !== undefined) media.example = example;
}
