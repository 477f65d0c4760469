// SPDX-License-Identifier: Apache-2.0
// apply and diff: files that say what should be, made so.
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/planner.h"
#include "cli/show.h"

namespace cvlan::cli {

using client::Mode;
using client::Value;
using What = Change::What;

namespace {

constexpr int kDifferent = 1;  // as diff(1): 0 the same, 1 different, above trouble

int tell_faults(Io& io, const std::vector<std::string>& faults) {
    for (const std::string& fault : faults) io.err << "cvlanctl: " << printable(fault) << '\n';
    return kFailed;
}

void print_plan(const Args& args, Io& io, const ObjectPlan& plan) {
    Value::List all;
    for (const Change& change : plan.changes) {
        if (change.what == What::Nothing) continue;
        if (args.output == Output::Table) io.out << text(change) << '\n';
        if (args.output == Output::Name) io.out << printable(change.name()) << '\n';
        all.push_back(to_value(change));
    }
    Value document = Value::object();
    document.set("changes", {std::move(all)});
    print_document(args, io, encode(document));
}

void print_plain(std::ostream& out, const std::string& name, const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value.held))
        out << fmt::format("{}: {}\n", name, printable(*text));
    if (!value.members()) return;
    for (const client::Member& member : *value.members())
        print_plain(out, name + " " + words_of(member.name, ' '), member.value);
}

// What a request answered that no later one will: a secret, or a link to set a password with.
// Whole, and not into a document for programs.
void print_shown_once(const Args& args, Io& io, const Change& change, const Value& answer) {
    const client::Resource& resource = *change.resource;
    if (resource.made_in.empty() || !answer.members()) return;
    std::ostream& out = args.output == Output::Table ? io.out : io.err;
    for (const client::Member& member : *answer.members())
        if (member.name != resource.made_in)
            print_plain(out,
                        fmt::format("{} {}: {}", resource.kind, printable(change.name()),
                                    words_of(member.name, ' ')),
                        member.value);
}

// The object in an answer to a request to create one.
const Value& object_in(const client::Resource& resource, const Value& answer) {
    const Value* inner = answer.find(resource.made_in);
    return inner ? *inner : answer;
}

// What a request to create one does not take is set right after, as far as it is not so already.
Result<void> set_the_rest(const Change& created, const Value& object, Catalogue& catalogue) {
    Manifest rest = *created.manifest;
    std::erase_if(rest.fields, [](const Given& given) { return given.create != nullptr; });
    const Names names = names_in(catalogue, created.tenant_id);
    auto fields = differences(rest, object, names);
    if (!fields) return failed(fields.error());
    if (fields->empty()) return {};
    const client::Place place{*created.resource, created.tenant_id, object.text_of("id")};
    auto seen = catalogue.objects().look(place, created.resource->update, object);
    if (!seen) return failed(seen.error());
    const Change change{.what = What::Update,
                        .resource = created.resource,
                        .manifest = &rest,
                        .tenant_id = created.tenant_id,
                        .seen = std::move(seen->value),
                        .fields = std::move(*fields)};
    auto body = update_body(change, names);
    if (!body) return failed(body.error());
    auto done = catalogue.objects().update(place, seen->etag, *body, Mode::Do);
    if (!done) return failed(done.error());
    return {};
}

// A tenant that was made meanwhile has its id by now.
Result<void> find_tenant(Change& change, Catalogue& catalogue) {
    if (change.tenant.empty() || !change.tenant_id.empty()) return {};
    auto found = catalogue.find(*client::find_resource("tenant"), "", change.tenant);
    if (!found) return failed(found.error());
    if (*found) change.tenant_id = (*found)->text_of("id");
    return {};
}

Result<Value> do_one(Change& change, Catalogue& catalogue) {
    if (auto found = find_tenant(change, catalogue); !found) return failed(found.error());
    const client::Place place{*change.resource, change.tenant_id, change.seen.text_of("id")};
    client::Objects& objects = catalogue.objects();
    if (change.what == What::Delete) {
        if (auto gone = objects.remove(place, change.etag, Mode::Do); !gone)
            return failed(gone.error());
        return Value::object();
    }
    const Names names = names_in(catalogue, change.tenant_id);
    const bool creates = change.what == What::Create;
    auto body = creates ? create_body(change, names) : update_body(change, names);
    if (!body) return body;
    auto made = creates ? objects.create(*change.resource, *body, Mode::Do)
                        : objects.update(place, change.etag, *body, Mode::Do);
    if (made)
        catalogue.put(*change.resource, change.resource->in_tenant ? change.tenant_id : "",
                      object_in(*change.resource, *made));
    return made;
}

int tell_stop(Io& io, const Change& at, const Error& error, const std::vector<std::string>& done) {
    const std::string where =
        at.manifest ? at.manifest->at(at.manifest->line) + ": " : std::string();
    const int code =
        fail(io, error.while_doing(fmt::format("{}{} {}", where, at.resource->kind, at.name())));
    if (done.empty()) {
        io.err << "cvlanctl: nothing was changed\n";
        return code;
    }
    io.err << "cvlanctl: stopped there; these were done:\n";
    for (const std::string& line : done) io.err << line << '\n';
    return kPartly;
}

int carry_out(const Args& args, Io& io, ObjectPlan& plan, Catalogue& catalogue) {
    std::vector<std::string> done;
    for (Change& change : plan.changes) {
        if (change.what == What::Nothing) continue;
        auto made = do_one(change, catalogue);
        if (!made) return tell_stop(io, change, made.error(), done);
        done.push_back(text(change));
        if (change.what != What::Create) continue;
        // First: it is told now or never.
        print_shown_once(args, io, change, *made);
        auto rest = set_the_rest(change, object_in(*change.resource, *made), catalogue);
        if (!rest) return tell_stop(io, change, rest.error(), done);
    }
    return kOk;
}

bool may_delete(const Args& args, Io& io, const ObjectPlan& plan) {
    const auto gone = std::count_if(plan.changes.begin(), plan.changes.end(),
                                    [](const Change& c) { return c.what == What::Delete; });
    return gone == 0 || confirmed(args, io, fmt::format("Delete {} objects?", gone));
}

// Runs `use` with the plan of the files; a plan with faults is told and not used.
int with_plan(const Args& args, Io& io,
              const std::function<int(ObjectPlan& plan, Catalogue& catalogue)>& use) {
    auto manifests = read_manifests(args.files, io.in);
    if (!manifests) return fail(io, manifests.error());
    if (!manifests->faults.empty()) return tell_faults(io, manifests->faults);
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    Catalogue catalogue(client::Objects(session->controller.transport()));
    Prune prune{args.prune};
    if (args.prune) {
        auto me = session->controller.me();
        if (!me) return fail(io, me.error());
        if (me->account) prune.self = me->account->id;
    }
    auto plan = Planner(catalogue, args.tenant).plan(*manifests, prune);
    if (!plan) return fail(io, plan.error());
    if (!plan->faults.empty()) return tell_faults(io, plan->faults);
    return use(*plan, catalogue);
}

}  // namespace

void diff_options(CLI::App& app, Args& args) {
    app.add_option("-f,--file", args.files,
                   "a file of YAML or JSON, a folder of them, or - for standard input; may be "
                   "there several times")
        ->required()
        ->allow_extra_args(false);
    app.add_flag("--prune", args.prune,
                 "delete what is in none of the files, of their kinds and in their tenants");
}

void apply_options(CLI::App& app, Args& args) {
    diff_options(app, args);
    app.add_flag("--dry-run", args.dry_run, "print the plan and change nothing");
}

int diff(const Args& args, Io& io) {
    const int code = with_plan(args, io, [&](const ObjectPlan& plan, Catalogue&) {
        print_plan(args, io, plan);
        return plan.is_empty() ? kOk : -kDifferent;
    });
    if (code == -kDifferent) return kDifferent;
    return code == kFailed ? kUsage : code;
}

int apply(const Args& args, Io& io) {
    return with_plan(args, io, [&](ObjectPlan& plan, Catalogue& catalogue) {
        print_plan(args, io, plan);
        if (args.dry_run || plan.is_empty()) return static_cast<int>(kOk);
        if (!may_delete(args, io, plan)) return static_cast<int>(kUsage);
        return carry_out(args, io, plan, catalogue);
    });
}

}  // namespace cvlan::cli
