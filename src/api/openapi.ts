// The OpenAPI document of the server API, made from the schemas that check its requests.
import { z } from 'zod';
import { ApiErrors } from './api-errors.ts';
import type { ApiMethod } from './method.ts';

export function openApiDocument(methods: readonly ApiMethod[], prefix: string, version: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast server API',
      version,
      description: `Errors of a method come with status 200 and an \`error\` member, unless transport error mode is on. Codes: ${errorList()}.`,
    },
    security: [{ header: [] }, { authorization: [] }, { query: [] }],
    components: {
      securitySchemes: {
        header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        authorization: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: '`apikey <key>`',
        },
        query: { type: 'apiKey', in: 'query', name: 'api_key' },
      },
      schemas: {
        Error: {
          type: 'object',
          required: ['code', 'message'],
          properties: { code: { type: 'integer' }, message: { type: 'string' } },
        },
      },
    },
    paths: Object.fromEntries(
      methods.map((method) => [`${prefix}/${method.name}`, { post: operation(method) }]),
    ),
  };
}

function operation(method: ApiMethod): object {
  const result = jsonSchema(method.result, 'output');
  const error = { $ref: '#/components/schemas/Error' };
  // The reply of a batch has no `result` around it.
  const success = method.name === 'batch' ? result : { type: 'object', properties: { result, error } };
  return {
    operationId: method.name,
    summary: method.summary,
    requestBody: {
      required: true,
      content: { 'application/json': { schema: jsonSchema(method.params, 'input') } },
    },
    responses: {
      200: { description: 'Result or error.', content: { 'application/json': { schema: success } } },
      400: { description: 'The body is no JSON object.' },
      401: { description: 'The key is missing or wrong.' },
      default: {
        description: 'Error, in transport error mode.',
        content: { 'application/json': { schema: error } },
      },
    },
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...document } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
  return document;
}

function errorList(): string {
  return Object.values(ApiErrors)
    .map(({ code, message }) => `${code} ${message}`)
    .join(', ');
}
