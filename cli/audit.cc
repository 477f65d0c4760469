// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static constexpr size_t kMostListed = 10'000;

static void narrowing_options(CLI::App& app, Args& args) {
    app.add_option("--actor", args.actor, "only what this one did, such as operator:0");
    app.add_option("--action", args.action, "only this, such as NODE_REVOKED");
    app.add_option("--object", args.object, "only what concerns the object of this id");
    app.add_option("--since", args.since,
                   "from this time on (2026-11-20T19:54:00Z, or 2h: two hours ago)");
    app.add_option("--until", args.until, "before this time, likewise");
    app.add_flag("--operator", args.of_operator, "the operator's own chain, which is no tenant's");
}

void audit_list_options(CLI::App& app, Args& args) { narrowing_options(app, args); }

void audit_export_options(CLI::App& app, Args& args) {
    narrowing_options(app, args);
    add_choice<std::string>(app, "--format", args.format, {{"ndjson", "ndjson"}, {"csv", "csv"}},
                            "ndjson (default) or csv");
}

// "2h": so long ago. "": not narrowed.
static Result<std::string> time_of(const std::string& text, WallTime now, const char* option) {
    if (text.empty()) return text;
    if (auto ago = parse_duration(text)) return rfc3339(now - *ago);
    auto time = from_rfc3339(text);
    if (!time)
        return cvlan::fail(Code::Invalid, "{}: '{}' is neither a time nor how long ago", option,
                           text);
    return rfc3339(*time);
}

struct AuditSession {
    Session session;
    client::Controller::AuditQuery query;
};

static Result<AuditSession> open_audit(const Args& args, Io& io, const char* unless_said) {
    auto since = time_of(args.since.empty() ? unless_said : args.since, io.clock.now(), "--since");
    if (!since) return failed(since.error());
    auto until = time_of(args.until, io.clock.now(), "--until");
    if (!until) return failed(until.error());
    auto session = args.of_operator ? connect(args) : connect_to_tenant(args);
    if (!session) return failed(session.error());
    client::Controller::AuditQuery query{session->tenant_id, args.actor, args.action,
                                         args.object,        *since,     *until};
    return AuditSession{std::move(*session), std::move(query)};
}

int audit_list(const Args& args, Io& io) {
    auto audit = open_audit(args, io, "24h");
    if (!audit) return fail(io, audit.error());
    auto list = audit->session.controller.list_audit(audit->query, kMostListed);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::AuditEntry& entry : list->entries)
        rows.push_back({fmt::format("{}", entry.sequence), time_text(entry.at), entry.actor,
                        entry.source, entry.action, entry.object_id, entry.outcome,
                        fmt::format("{}", entry.count)});
    return print_list(args, io, *list,
                      {"ENTRY", "AT", "ACTOR", "SOURCE", "ACTION", "OBJECT", "OUTCOME", "COUNT"},
                      rows);
}

int audit_export(const Args& args, Io& io) {
    auto audit = open_audit(args, io, "");
    if (!audit) return fail(io, audit.error());
    const auto take = [&io](const std::string& lines) { io.out << lines; };
    auto done = audit->session.controller.export_audit(audit->query, args.format, take);
    if (!done) return fail(io, done.error());
    io.out.flush();
    // A file that was cut off must not look like a whole one.
    if (!io.out) return fail(io, {Code::Internal, "the export could not be written"});
    return kOk;
}

int audit_verify(const Args& args, Io& io) {
    // Without a tenant: every chain that who asks may see.
    auto session = args.tenant.empty() ? connect(args) : connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto verdicts = session->controller.verify_audit(session->tenant_id);
    if (!verdicts) return fail(io, verdicts.error());
    bool are_whole = true;
    std::vector<Row> rows;
    for (const wire::AuditVerdict& chain : verdicts->chains) {
        const std::string name = chain.tenant_id.value_or("operator");
        rows.push_back({name, fmt::format("{}", chain.entries), chain.whole ? "whole" : "BROKEN"});
        if (chain.whole) continue;
        are_whole = false;
        io.err << fmt::format("cvlanctl: audit of {}: {}\n", printable(name),
                              printable(chain.fault.value_or("is not whole")));
    }
    const int printed = print_list(args, io, *verdicts, {"CHAIN", "ENTRIES", "STATE"}, rows);
    return are_whole ? printed : kFailed;
}

}  // namespace cvlan::cli
