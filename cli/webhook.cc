// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static std::string state_of(const wire::Webhook& webhook) {
    if (!webhook.enabled) return "disabled";
    return webhook.attempts > 0 ? "failing" : "good";
}

static Row row_of(const wire::Webhook& webhook) {
    return {webhook.name,
            state_of(webhook),
            time_text(webhook.last_delivered_at),
            webhook.last_result.value_or(""),
            webhook.url,
            webhook.id};
}

void webhook_create_options(CLI::App& app, Args& args) {
    object(app, args);
    app.add_option("--url", args.url, "https://… that is told")->required();
    app.add_option("--event", args.events,
                   "an event to tell, such as NODE_ENROLLED; again for more; without it all but "
                   "ENDPOINTS_CHANGED");
}

int webhook_create(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    wire::WebhookCreate wanted;
    wanted.tenant_id = session->tenant_id;
    wanted.name = args.name;
    wanted.url = args.url;
    wanted.events = args.events;
    auto created = session->controller.create_webhook(wanted);
    if (!created) return fail(io, created.error());
    if (print_document(args, io, encode(*created))) return kOk;
    // What a receiver needs, and nobody sees again.
    io.out << printable(args.output == Output::Name ? created->webhook.name : created->secret)
           << '\n';
    return kOk;
}

int webhook_list(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "webhook", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_webhooks(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::Webhook& webhook : list->webhooks) rows.push_back(row_of(webhook));
    return print_list(args, io, *list, {"NAME", "STATE", "DELIVERED", "RESULT", "URL", "ID"}, rows);
}

}  // namespace cvlan::cli
