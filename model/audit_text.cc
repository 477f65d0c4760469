// SPDX-License-Identifier: Apache-2.0
#include "model/audit_text.h"

namespace cvlan::model {

namespace {

// owasp.org/www-community/attacks/CSV_Injection: what a spreadsheet takes for a formula.
constexpr std::string_view kBeginsFormula = "=+-@\t\r\n";

std::string cell(std::string_view text) {
    std::string quoted = "\"";
    if (!text.empty() && kBeginsFormula.find(text.front()) != std::string_view::npos)
        quoted += '\'';
    for (const char c : text) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

}  // namespace

wire::AuditEntry to_wire(const AuditEntry& entry) {
    wire::AuditEntry answer;
    if (!entry.tenant_id.empty()) answer.tenant_id = entry.tenant_id;
    answer.sequence = entry.sequence;
    answer.at = entry.at;
    answer.actor = entry.actor;
    answer.source = entry.source;
    answer.request_id = entry.request_id;
    answer.action = entry.action;
    answer.object_kind = entry.object_kind;
    answer.object_id = entry.object_id;
    answer.outcome = entry.outcome;
    answer.count = entry.count;
    answer.before = entry.before;
    answer.after = entry.after;
    answer.previous_hash = entry.previous_hash;
    answer.hash = entry.hash;
    return answer;
}

std::string audit_ndjson(const AuditEntry& entry) { return encode(to_wire(entry)) + "\n"; }

std::string audit_csv_header() {
    return "tenantId,sequence,at,actor,source,requestId,action,objectKind,objectId,outcome,count,"
           "before,after,previousHash,hash\r\n";
}

std::string audit_csv(const AuditEntry& entry) {
    std::string row =
        fmt::format("{},{},{}", cell(entry.tenant_id), entry.sequence, cell(rfc3339(entry.at)));
    for (const std::string* text : {&entry.actor, &entry.source, &entry.request_id, &entry.action,
                                    &entry.object_kind, &entry.object_id, &entry.outcome})
        row += "," + cell(*text);
    row += fmt::format(",{}", entry.count);
    for (const std::string* text : {&entry.before, &entry.after, &entry.previous_hash, &entry.hash})
        row += "," + cell(*text);
    return row + "\r\n";
}

}  // namespace cvlan::model
