import { firstParameters } from '../../model/list-schemas.js';

/** Additions to Swagger UI: a layout for phones, folded filters, readable colours, and no links to other services. */

/** Adds the viewport that Swagger UI's HTML lacks. Without it a phone shows the desktop page, scaled down. */
const viewport = `const meta = document.createElement('meta');
meta.name = 'viewport';
meta.content = 'width=device-width, initial-scale=1';
document.head.append(meta);
`;

/**
 * A plugin of Swagger UI that hides the less common parameters of a list behind a button. A list has a hundred parameters,
 * and the button that sends the request is below them. The script runs after Swagger UI's own script and before the page
 * starts it.
 */
const moreFilters = `const first = ${JSON.stringify(firstParameters)};
const isMore = (parameter) => parameter.get('in') === 'query' && !first.includes(parameter.get('name'));
const MoreFilters = ({ React }) => {
  const wrap = (Parameters) => (props) => {
    const [isOpen, setOpen] = React.useState(false);
    const more = props.parameters.count(isMore);
    if (more < 10) return React.createElement(Parameters, props);
    const parameters = isOpen ? props.parameters : props.parameters.filterNot(isMore);
    const text = isOpen ? 'Fewer filters' : more + ' more filters';
    const toggle = { className: 'btn more-filters', 'aria-expanded': isOpen, onClick: () => setOpen(!isOpen) };
    return React.createElement(
      React.Fragment,
      null,
      React.createElement(Parameters, { ...props, parameters }),
      React.createElement('button', toggle, text),
    );
  };
  return { wrapComponents: { parameters: wrap } };
};
const { SwaggerUIBundle: start } = window;
window.SwaggerUIBundle = Object.assign((config) => start({ ...config, plugins: [...config.plugins, MoreFilters] }), start);
`;

/** Deletes a key from localStorage, where earlier versions of the page kept it. The page keeps it in memory. */
const forgetKey = `localStorage.removeItem('authorized');
`;

const styles = `
/* Hide the explore bar: there is one document. Keep its button for light and dark. */
.swagger-ui .topbar { padding: 4px 0; }
.swagger-ui .topbar .topbar-wrapper { justify-content: flex-end; }
.swagger-ui .topbar .link, .swagger-ui .topbar .download-url-wrapper { display: none; }

.swagger-ui .btn.more-filters { display: block; margin: 10px 20px; }
html.dark-mode .swagger-ui .btn.more-filters { border-color: #8c96a8; color: #e4e6e6; }
.swagger-ui table.parameters textarea { min-height: 100px; }

/* Readable contrast: Swagger UI writes white on these colours. */
.swagger-ui .opblock .opblock-summary-method { color: #16181d; text-shadow: none; }
.swagger-ui .btn.execute { background-color: #2c6cb5; border-color: #2c6cb5; }
.swagger-ui .info .title small { background: #5f6673; }
.swagger-ui .info .title small.version-stamp { background: #4a7000; }
html:not(.dark-mode) .swagger-ui .info a { color: #2c6cb5; }
html:not(.dark-mode) .swagger-ui .parameter__name.required span { color: #c62828; }
html:not(.dark-mode) .swagger-ui .markdown code, html:not(.dark-mode) .swagger-ui .renderedMarkdown code { color: #6a0fbf; }
.swagger-ui .download-contents { background: #4b5160; }
html:not(.dark-mode) .swagger-ui .parameter__in { color: #5f6673; }
html:not(.dark-mode) .swagger-ui .btn.cancel { border-color: #c62828; color: #c62828; }
html.dark-mode .swagger-ui .opblock .opblock-section-header .try-out__btn.cancel { border-color: #ff8a80; color: #ff8a80; }
html:not(.dark-mode) .swagger-ui .btn.authorize { border-color: #1c7a4f; color: #1c7a4f; }
html:not(.dark-mode) .swagger-ui .btn.authorize svg { fill: #1c7a4f; }
.dark-mode .swagger-ui table.headers td, .dark-mode .swagger-ui .headers .header-col { color: #e4e6e6; }
.swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { padding: 1px 4px; }

@media (max-width: 640px) {
  .swagger-ui .wrapper { padding: 0 10px; }
  .swagger-ui .info { margin: 24px 0; }
  .swagger-ui .opblock-tag { flex-wrap: wrap; }
  .swagger-ui .opblock-tag small { flex-basis: 100%; order: 1; padding: 0; }
  .swagger-ui .opblock .opblock-summary-method { min-width: 64px; padding: 6px 0; }
  .swagger-ui .opblock .opblock-summary-path { max-width: none; }
  .swagger-ui .opblock-body, .swagger-ui .responses-inner { overflow-wrap: anywhere; }
  .swagger-ui .models .model-title, .swagger-ui .models .model-box { overflow-wrap: anywhere; white-space: normal; }
  .swagger-ui .headers td:last-child, .swagger-ui .headers th:last-child { overflow-wrap: normal; }
  .swagger-ui .parameters-container .table-container, .swagger-ui .responses-inner { padding: 10px; }
  /* Rows of two columns become a name with its description under it. */
  .swagger-ui table.parameters, .swagger-ui table.parameters > tbody,
  .swagger-ui table.parameters > tbody > tr, .swagger-ui table.parameters > tbody > tr > td { display: block; width: auto; }
  .swagger-ui table.parameters > thead { display: none; }
  .swagger-ui table.parameters > tbody > tr > td { padding: 4px 0; }
  .swagger-ui table.parameters > tbody > tr { padding: 8px 0; }
  .swagger-ui .parameters-col_description input, .swagger-ui .parameters-col_description select,
  .swagger-ui .parameters-col_description textarea { box-sizing: border-box; max-width: 100%; width: 100%; }
  /* No operation has links. */
  .swagger-ui .responses-table .response-col_links { display: none; }
  .swagger-ui .dialog-ux .modal-ux { min-width: 0; width: calc(100% - 20px); }
}
`;

export const docsTheme = {
  title: 'Checkout Sessions',
  css: [{ filename: 'docs.css', content: styles }],
  js: [
    { filename: 'viewport.js', content: viewport },
    { filename: 'more-filters.js', content: moreFilters },
    { filename: 'forget-key.js', content: forgetKey },
  ],
};
