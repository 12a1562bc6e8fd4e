// `holdfast defaults` and `holdfast schema`: what the configuration can hold.
import type { Command } from 'commander';
import { defaultsYaml, defaultTree, jsonSchemaText, referencePage } from '../config/reference.ts';
import { type CliDeps, printJson } from './cli-deps.ts';

export function addDefaults(program: Command, deps: CliDeps): void {
  program
    .command('defaults')
    .description('print the full default configuration, with a comment for every option')
    .option('--json', 'print it as JSON, without comments')
    .addHelpText('after', '\nExample:\n  $ holdfast defaults > holdfast.yaml')
    .action((flags: { json?: true }) => {
      if (flags.json === true) printJson(deps, defaultTree());
      else deps.stdout.write(defaultsYaml());
    });
}

export function addSchema(program: Command, deps: CliDeps): void {
  program
    .command('schema')
    .description('print the JSON Schema of the configuration, for editors')
    .option('--markdown', 'print the reference page instead')
    .addHelpText('after', '\nExample:\n  $ holdfast schema > holdfast.schema.json')
    .action((flags: { markdown?: true }) => {
      deps.stdout.write(flags.markdown === true ? referencePage() : jsonSchemaText());
    });
}
