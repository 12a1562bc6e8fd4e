// The Prometheus rules and the Grafana dashboard use metrics and labels that the program has, and nothing else.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { METRIC_PREFIX, METRICS, type MetricSpec } from '../../../src/observe/metric-table.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { readExpression } from '../../helpers/promql.ts';

const rulesFile = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.union([
          z.strictObject({ record: z.string().regex(/^holdfast:[a-z_]+:[a-z0-9]+$/), expr: z.string() }),
          z.strictObject({
            alert: z.string().regex(/^Holdfast[A-Z][A-Za-z]+$/),
            expr: z.string(),
            for: z
              .string()
              .regex(/^\d+[smh]$/)
              .optional(),
            labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
            annotations: z.strictObject({
              summary: z.string(),
              description: z.string(),
              runbook: z.string(),
            }),
          }),
        ]),
      ),
    }),
  ),
});

const text = readFileSync('monitoring/holdfast.rules.yml', 'utf8');
const rules = rulesFile.parse(parse(text)).groups.flatMap((group) => group.rules);
const alerts = rules.flatMap((rule) => ('alert' in rule ? [rule] : []));

/** Labels of every series that there can be, `instance` and `job` apart, which Prometheus adds. */
const series = new Map<string, readonly string[]>([
  ['up', []],
  ['holdfast_metrics_sources', ['state']],
]);
for (const spec of Object.values<MetricSpec>(METRICS)) {
  const name = METRIC_PREFIX + spec.name;
  if (spec.type !== 'histogram') series.set(name, spec.labels);
  else {
    series.set(`${name}_bucket`, [...spec.labels, 'le']);
    series.set(`${name}_sum`, spec.labels);
    series.set(`${name}_count`, spec.labels);
  }
}

/** What is wrong with an expression; undefined when nothing is. */
function faultOf(expression: string, known: ReadonlyMap<string, readonly string[]>): string | undefined {
  try {
    const { selectors, grouping } = readExpression(expression);
    if (selectors.length === 0) return 'no metric';
    const grouped = new Set(['instance', 'job']);
    for (const { metric, labels } of selectors) {
      const allowed = known.get(metric);
      if (allowed === undefined) return `no such metric: ${metric}`;
      for (const label of allowed) grouped.add(label);
      const wrong = labels.find((label) => !['instance', 'job', ...allowed].includes(label));
      if (wrong !== undefined) return `${metric} has no label ${wrong}`;
    }
    const wrong = grouping.find((label) => !grouped.has(label));
    return wrong === undefined ? undefined : `grouped by ${wrong}, which no metric in it has`;
  } catch (error) {
    return String(error);
  }
}

t.test('the reader of expressions sees what is wrong', async (t) => {
  const bad: readonly (readonly [expression: string, fault: RegExp])[] = [
    ['sum by (instance) (holdfast_connections', /not closed/],
    ['sum(holdfast_connections))', /too many/],
    ['holdfast_connectons > 1', /no such metric: holdfast_connectons/],
    ['holdfast_connections{cause="slow"}', /no label cause/],
    ['sum by (reason) (holdfast_connections)', /grouped by reason/],
    ['holdfast_connections holdfast_channels', /without an operator/],
    ['holdfast_connections{transport=ws}', /no label matcher/],
    ['rate(holdfast_messages_in_total[5 minutes])', /no range/],
    ['holdfast_connections >', /ends with an operator/],
    ['holdfast_connections # 1', /no PromQL/],
    ['1 > 2', /no metric/],
  ];
  for (const [expression, fault] of bad) t.match(faultOf(expression, series), fault, expression);
  t.equal(
    faultOf('sum by (le) (rate(holdfast_hook_seconds_bucket{event="x",le=~"1|2"}[5m])) > 1', series),
    undefined,
  );
});

t.test('rules use what there is', async (t) => {
  const known = new Map(series);
  for (const rule of rules) {
    const name = 'record' in rule ? rule.record : rule.alert;
    t.equal(faultOf(rule.expr, known), undefined, `${name}: ${rule.expr}`);
    // Later rules may use it, with the labels that its grouping leaves.
    if ('record' in rule) known.set(name, readExpression(rule.expr).grouping);
  }
  const names = rules.map((rule) => ('record' in rule ? rule.record : rule.alert));
  t.equal(new Set(names).size, names.length, 'no name twice');
  t.ok(alerts.length >= 15);
});

t.test('close causes and lag statistics in rules exist', async (t) => {
  const causes = [...text.matchAll(/cause="([^"]+)"/g)].map(([, cause = '']) => cause);
  t.ok(causes.length >= 3);
  const known = new Set(Object.values(CloseCauses).map(({ name }) => name));
  for (const cause of causes) t.ok(known.has(cause), cause);
});

t.test('templates name labels that the result of the expression has', async (t) => {
  for (const { alert, expr, annotations } of alerts) {
    const { selectors, grouping } = readExpression(expr);
    const labels = new Set([
      ...grouping,
      ...selectors.flatMap(({ metric }) => series.get(metric) ?? []),
      'instance',
    ]);
    const used = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label);
    for (const label of used) t.ok(labels.has(label), `${alert}: ${label}`);
  }
});

t.test('every alert has its paragraph in docs/operations.md, and the other way round', async (t) => {
  const page = readFileSync('docs/operations.md', 'utf8');
  const headings = [...page.matchAll(/^#+ (Holdfast[A-Z]\w+)$/gm)].map(([, name]) => name);
  t.same(new Set(headings), new Set(alerts.map(({ alert }) => alert)));
  t.equal(headings.length, alerts.length);
  for (const { alert, annotations } of alerts) {
    t.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`);
  }
});

const query = z.object({ expr: z.string() });
const dashboard = z.object({
  title: z.literal('Holdfast'),
  uid: z.literal('holdfast'),
  templating: z.object({ list: z.array(z.object({ name: z.string(), type: z.string() })) }),
  annotations: z.object({ list: z.array(query) }),
  panels: z.array(
    z.object({
      id: z.int(),
      type: z.enum(['row', 'stat', 'timeseries']),
      title: z.string().min(1),
      gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
      targets: z.array(query.extend({ refId: z.string() })).optional(),
    }),
  ),
});

t.test('the dashboard uses what there is', async (t) => {
  const { panels, annotations, templating } = dashboard.parse(
    JSON.parse(readFileSync('monitoring/grafana-dashboard.json', 'utf8')),
  );
  t.same(
    templating.list.map(({ name }) => name),
    ['datasource', 'instance'],
  );
  for (const { expr } of annotations.list) t.equal(faultOf(expr, series), undefined, expr);
  for (const { title, type, targets = [] } of panels) {
    t.equal(targets.length > 0, type !== 'row', title);
    for (const { expr } of targets) {
      t.equal(faultOf(expr, series), undefined, `${title}: ${expr}`);
      t.match(expr, 'instance=~"$instance"', `${title} shows the chosen hosts`);
    }
  }
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const [index, { title, gridPos }] of panels.entries()) {
    t.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title);
    const over = panels.slice(index + 1).find(({ gridPos: other }) => {
      const apart =
        other.x >= gridPos.x + gridPos.w ||
        gridPos.x >= other.x + other.w ||
        other.y >= gridPos.y + gridPos.h ||
        gridPos.y >= other.y + other.h;
      return !apart;
    });
    t.equal(over?.title, undefined, `${title} lies alone`);
  }
});
