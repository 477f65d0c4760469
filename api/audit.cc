// SPDX-License-Identifier: Apache-2.0
#include "api/audit.h"

#include "api/convert.h"
#include "api/error.h"
#include "model/audit_text.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

constexpr int64_t kExportPage = 1000;

Result<store::AuditFilter> read_audit_filter(const Query& query, const AdminIdentity& who,
                                             int64_t page_size) {
    store::AuditFilter filter;
    auto scope = scope_of(who, query);
    if (!scope) return failed(scope.error());
    auto object = query.uuid("object");
    if (!object) return failed(object.error());
    auto since = query.time("since");
    if (!since) return failed(since.error());
    auto until = query.time("until");
    if (!until) return failed(until.error());
    auto size = query.integer("pageSize", 1, 1000, page_size);
    if (!size) return failed(size.error());
    filter.tenant_id = scope->value_or("");
    filter.actor = query.text("actor");
    filter.action = query.text("action");
    filter.object_id = *object;
    filter.since = *since;
    filter.until = *until;
    filter.page_size = static_cast<int>(*size);
    filter.page_token = query.text("pageToken").value_or("");
    return filter;
}

// RFC 8288: the same request, with the token of the page that follows.
std::string link_to_next(const http::Request& request, const std::string& page_token) {
    std::string query;
    std::string_view rest = request.query;
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        if (pair.starts_with("pageToken=")) continue;
        query += pair;
        query += '&';
    }
    return fmt::format("<{}?{}pageToken={}>; rel=\"next\"", request.path, query, page_token);
}

wire::AuditVerdict to_wire(const store::AuditVerdict& verdict) {
    wire::AuditVerdict answer;
    if (!verdict.tenant_id.empty()) answer.tenant_id = verdict.tenant_id;
    answer.entries = verdict.entries;
    answer.last_sequence = verdict.head.sequence;
    answer.last_hash = verdict.head.hash;
    answer.whole = verdict.fault.empty();
    if (!verdict.fault.empty()) answer.fault = verdict.fault;
    return answer;
}

}  // namespace

http::Response list_audit(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_audit_filter(call.query, who, 100);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.audit(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::AuditList list;
    for (const model::AuditEntry& entry : page->items)
        list.entries.push_back(model::to_wire(entry));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response export_audit(Context& context, const Call& call, const AdminIdentity& who) {
    const std::string format = call.query.text("format").value_or("ndjson");
    const bool is_csv = format == "csv";
    if (!is_csv && format != "ndjson")
        return error_response({Code::Invalid, "query parameter 'format': must be ndjson or csv"},
                              call.request.request_id);
    auto filter = read_audit_filter(call.query, who, kExportPage);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.audit(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    http::Response response;
    response.content_type = is_csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
    response.headers.push_back(
        {"Content-Disposition", fmt::format("attachment; filename=\"audit.{}\"", format)});
    // The pages of an export make one file, one after the other.
    if (is_csv && filter->page_token.empty()) response.body = model::audit_csv_header();
    for (const model::AuditEntry& entry : page->items)
        response.body += is_csv ? model::audit_csv(entry) : model::audit_ndjson(entry);
    if (!page->next_page_token.empty())
        response.headers.push_back({"Link", link_to_next(call.request, page->next_page_token)});
    return response;
}

http::Response verify_audit(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return error_response(scope.error(), call.request.request_id);
    auto verdicts = context.store.verify_audit(*scope);
    if (!verdicts) return error_response(verdicts.error(), call.request.request_id);
    wire::AuditVerdictList list;
    for (const store::AuditVerdict& verdict : *verdicts) list.chains.push_back(to_wire(verdict));
    return json_response(200, list);
}

}  // namespace cvlan::api
