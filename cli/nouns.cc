// SPDX-License-Identifier: Apache-2.0
// The commands of a noun that has none of its own: create, list, show, update, delete and its
// actions, by the table of resources.
#include <openssl/crypto.h>

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/planner.h"
#include "cli/show.h"

namespace cvlan::cli {

using client::Field;
using client::FieldType;
using client::FileFlag;
using client::Mode;
using client::Operation;
using client::Resource;
using client::Value;

namespace {

// "--network", "--quotas-max-nodes", "--secret-file".
std::string flag_of(std::string_view prefix, const Field& field) {
    return fmt::format("{}{}{}", prefix, words_of(client::display_name(field), '-'),
                       field.file == FileFlag::No ? "" : "-file");
}

// Flags for the fields of a request. `key` is said without one.
struct Flags {
    CLI::App& app;
    Args& args;
    std::string_view key{};
    bool requires_all = true;  // that the request requires

    void add(std::span<const Field> fields, const std::string& prefix) {
        for (const Field& field : fields) {
            const bool is_nested = field.type == FieldType::Object;
            if (field.name == key || field.name == "tenantId") continue;
            if (is_nested && !field.is_list) add(field.fields, flag_of(prefix, field) + "-");
            if (!is_nested) add_one(field, prefix);  // a list of objects is for a file
        }
    }

private:
    void add_one(const Field& field, const std::string& prefix) {
        const std::string flag = flag_of(prefix, field);
        auto* option = app.add_option("--" + flag, args.fields[flag], std::string(field.help));
        option->allow_extra_args(false);
        if (field.is_list)
            option->delimiter(',');
        else
            option->expected(1);
        if (field.is_required && prefix.empty() && requires_all) option->required();
    }
};

// Of a secret all bytes count, and what an editor or echo(1) puts behind it would too.
Result<Value> read_file_flag(const Field& field, const std::string& path) {
    constexpr size_t kMost = size_t{64} * 1024;
    if (field.file == FileFlag::Text) {
        auto text = read_file(path, kMost);
        if (!text) return failed(text.error());
        return Value::text(std::move(*text));
    }
    auto secret = read_secret_file(path, kMost);
    if (!secret) return failed(secret.error());
    const bool is_line = secret->ends_with('\n') &&
                         std::all_of(secret->begin(), secret->end() - 1,
                                     [](unsigned char c) { return c >= ' ' && c != 127; });
    auto value = is_line
                     ? Result<Value>(cvlan::fail(Code::Invalid,
                                                 "{} ends with a newline, which would be a part of "
                                                 "the secret: write it with printf %s",
                                                 path))
                     : Value::text(base64(as_bytes(*secret)));
    OPENSSL_cleanse(secret->data(), secret->size());
    return value;
}

// "psk" as the API has it, "PSK".
std::string as_known(const Field& field, const std::string& word) {
    const auto is_same = [](char a, char b) {
        return std::toupper(static_cast<unsigned char>(a)) ==
               std::toupper(static_cast<unsigned char>(b));
    };
    for (const std::string_view known : field.words)
        if (std::equal(known.begin(), known.end(), word.begin(), word.end(), is_same))
            return std::string(known);
    return word;
}

Result<Value> read_words(const Field& field, const std::vector<std::string>& words) {
    if (field.file != FileFlag::No) return read_file_flag(field, words.front());
    if (!field.is_list) return read_plain(field, as_known(field, words.front()));
    Value::List list;
    for (const std::string& word : words) {
        if (word.empty()) continue;  // --tags "" empties a list
        auto value = read_plain(field, as_known(field, word));
        if (!value) return value;
        list.push_back(std::move(*value));
    }
    return Value{std::move(list)};
}

// The value of a field by its flags, over what it is now; null where there is no flag.
Result<Value> read_flags(const Args& args, const Field& field, const std::string& prefix,
                         const Value& now) {
    const std::string flag = flag_of(prefix, field);
    if (field.type != FieldType::Object) {
        const auto given = args.fields.find(flag);
        if (given == args.fields.end() || given->second.empty()) return Value{};
        auto value = read_words(field, given->second);
        if (!value) return failed(value.error().while_doing("--" + flag));
        return value;
    }
    Value object = now.members() ? now : Value::object();
    bool is_given = false;
    for (const Field& inner : field.fields) {
        auto value = read_flags(args, inner, flag + "-", Value{});
        if (!value) return value;
        if (value->is_null()) continue;
        object.set(inner.name, std::move(*value));
        is_given = true;
    }
    return is_given ? Result<Value>(std::move(object)) : Value{};
}

// A tenant is looked for only where the noun lies in one and the name alone does not tell which.
Result<Session> open_for(const Args& args, const Resource& resource) {
    const bool is_told_by_id = args.tenant.empty() && is_uuid(args.name);
    const bool needs_tenant = resource.in_tenant && !args.above_tenants && !is_told_by_id;
    return needs_tenant ? connect_to_tenant(args) : connect(args);
}

Result<void> check_references(const Manifest& manifest, const Names& names) {
    std::optional<Error> missing;
    for (const Given& given : manifest.fields)
        each_reference(
            given.field(), given.value, [&](std::string_view kind, const std::string& name) {
                if (is_uuid(names.id_of(kind, name)) || missing) return;
                missing = Error{Code::NotFound, fmt::format("no {} has the name '{}'", kind, name)};
            });
    if (missing) return failed(*missing);
    return {};
}

// What the flags of `operation` say, as if it stood in a file.
Result<Manifest> read_wish(const Args& args, const Resource& resource, const Operation& operation,
                           const Value& seen) {
    Manifest manifest;
    manifest.resource = &resource;
    manifest.key = args.name;
    for (const Field& field : operation.fields) {
        const Value* now = seen.find(field.name);
        const bool is_key = field.name == resource.key && seen.is_null();
        auto value = is_key ? Result<Value>(Value::text(args.name))
                            : read_flags(args, field, "", now ? *now : Value{});
        if (!value) return failed(value.error());
        if (!value->is_null())
            manifest.fields.push_back({&field, &field,
                                       client::find_field(resource.shown, field.name),
                                       std::move(*value), 0});
    }
    return manifest;
}

int print_one_made(const Args& args, Io& io, const Resource& resource, const Value& object,
                   Catalogue& catalogue) {
    if (object.find(resource.key) || resource.is_single()) {
        print_found(args, io, {{&resource, object}}, {{&resource}, false, true}, catalogue);
        return kOk;
    }
    // A document of its own, such as one with a secret that is shown once.
    if (print_document(args, io, encode(object))) return kOk;
    if (!object.members()) return kOk;
    for (const client::Member& member : *object.members())
        if (const auto* text = std::get_if<std::string>(&member.value.held))
            io.out << fmt::format("{}: {}\n", member.name, printable(*text));
    return kOk;
}

int create(const Resource& resource, const Args& args, Io& io) {
    auto session = open_for(args, resource);
    if (!session) return fail(io, session.error());
    Catalogue catalogue(client::Objects(session->controller.transport()));
    const Names names = names_in(catalogue, session->tenant_id);
    auto wish = read_wish(args, resource, resource.create, Value{});
    if (!wish) return fail(io, wish.error());
    if (auto there = check_references(*wish, names); !there) return fail(io, there.error());
    const Change change{.what = Change::What::Create,
                        .resource = &resource,
                        .manifest = &*wish,
                        .tenant_id = session->tenant_id};
    auto body = create_body(change, names);
    if (!body) return fail(io, body.error());
    auto made = catalogue.objects().create(resource, *body, Mode::Do);
    if (!made) return fail(io, made.error());
    return print_one_made(args, io, resource, *made, catalogue);
}

// What update, delete and the actions share: the object that is named.
int with_object(const Resource& resource, const Args& args, Io& io,
                const std::function<int(const client::Place&, const Value&, Catalogue&)>& use) {
    auto session = open_for(args, resource);
    if (!session) return fail(io, session.error());
    Catalogue catalogue(client::Objects(session->controller.transport()));
    auto object = catalogue.one(resource, session->tenant_id, args.name);
    if (!object) return fail(io, object.error());
    const std::string& tenant_id = object->text_of("tenantId");
    return use({resource, tenant_id, object->text_of("id")}, *object, catalogue);
}

// "network office".
std::string called(const Resource& resource, const Value& object) {
    return fmt::format("{} {}", resource.kind, object.text_of(resource.key));
}

int update_seen(const client::Place& place, const client::Seen& seen, Catalogue& catalogue,
                const std::pair<const Args&, Io&>& asked) {
    const auto& [args, io] = asked;
    const Resource& resource = place.resource;
    const Names names = names_in(catalogue, place.tenant);
    auto wish = read_wish(args, resource, resource.update, seen.value);
    if (!wish) return fail(io, wish.error());
    if (wish->fields.empty()) {
        io.err << "cvlanctl: no option says what to change; --help lists them\n";
        return kUsage;
    }
    if (auto there = check_references(*wish, names); !there) return fail(io, there.error());
    Change change{.what = Change::What::Update,
                  .resource = &resource,
                  .manifest = &*wish,
                  .tenant_id = place.tenant,
                  .seen = seen.value};
    for (const Given& given : wish->fields) change.fields.push_back({&given});
    auto body = update_body(change, names);
    if (!body) return fail(io, body.error());
    auto changed = catalogue.objects().update(place, seen.etag, *body, Mode::Do);
    if (!changed) return fail(io, changed.error());
    return print_one_made(args, io, resource, *changed, catalogue);
}

int update(const Resource& resource, const Args& args, Io& io) {
    return with_object(resource, args, io,
                       [&](const auto& place, const Value& listed, Catalogue& catalogue) {
                           auto seen = catalogue.objects().look(place, resource.update, listed);
                           if (!seen) return fail(io, seen.error());
                           return update_seen(place, *seen, catalogue, {args, io});
                       });
}

int remove(const Resource& resource, const Args& args, Io& io) {
    return with_object(
        resource, args, io, [&](const auto& place, const Value& listed, Catalogue& catalogue) {
            // Before the question: what somebody changes while it is answered stays.
            auto seen = catalogue.objects().look(place, resource.remove, listed);
            if (!seen) return fail(io, seen.error());
            if (!confirmed(args, io, fmt::format("Delete {}?", called(resource, listed))))
                return static_cast<int>(kUsage);
            auto gone = catalogue.objects().remove(place, seen->etag, Mode::Do);
            return gone ? static_cast<int>(kOk) : fail(io, gone.error());
        });
}

bool may_act(const client::Action& action, const std::string& what, const Args& args, Io& io) {
    if (action.warning.empty()) return true;
    std::string verb(action.verb);
    verb.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(verb.front())));
    return confirmed(args, io, fmt::format("{} {}? {}", verb, what, action.warning));
}

int act(const Resource& resource, const client::Action& action, const Args& args, Io& io) {
    return with_object(resource, args, io,
                       [&](const auto& place, const Value& listed, Catalogue& catalogue) {
                           auto seen = catalogue.objects().look(place, action.operation, listed);
                           if (!seen) return fail(io, seen.error());
                           if (!may_act(action, called(resource, listed), args, io))
                               return static_cast<int>(kUsage);
                           const Names names = names_in(catalogue, place.tenant);
                           auto wish = read_wish(args, resource, action.operation, Value::object());
                           if (!wish) return fail(io, wish.error());
                           const Change change{.resource = &resource, .manifest = &*wish};
                           auto body = create_body(change, names);
                           if (!body) return fail(io, body.error());
                           auto done = catalogue.objects().act(place, seen->etag, action, *body);
                           if (!done) return fail(io, done.error());
                           return print_one_made(args, io, resource, *done, catalogue);
                       });
}

// One field of an object, by a command of its own.
int change(std::string_view kind, const Args& args, Io& io,
           const std::pair<std::string, std::string>& field) {
    Args with_field = args;
    with_field.fields[field.first] = {field.second};
    return update(*client::find_resource(kind), with_field, io);
}

void name_option(CLI::App& app, const Resource& resource, Args& args) {
    if (resource.above_tenants) account_options(app, args);
    if (!resource.is_single()) object(app, args);
}

Args with_kind(const Args& args, const Resource& resource) {
    Args out = args;
    out.kind = resource.kind;
    return out;
}

class Maker {
public:
    Maker(const Resource& resource, std::vector<NounCommand>& out)
        : resource_(resource), out_(out) {}

    void make() {
        const Resource& noun = resource_;
        if (noun.create.exists()) make_writing("create", noun.create, create, "create one");
        if (noun.is_single())
            add("show", "show it", nothing, get_it);
        else
            add("list", "list them", list_options, get_it);
        if (noun.has_item) add("show", "show one", object, get_it);
        if (noun.update.exists())
            make_writing("update", noun.update, update, "change fields of it");
        if (noun.remove.exists())
            add("delete", noun.remove.help.empty() ? "delete one" : noun.remove.help,
                noun.above_tenants ? account_object : object, remove);
        for (const client::Action& action : noun.actions) make_action(action);
    }

private:
    using Run = int (*)(const Resource&, const Args&, Io&);
    using Options = void (*)(CLI::App&, Args&);

    static int get_it(const Resource& resource, const Args& args, Io& io) {
        return get(with_kind(args, resource), io);
    }
    std::string path(std::string_view verb) const {
        return fmt::format("{} {}", resource_.command, verb);
    }
    void add(std::string_view verb, std::string_view summary, Options options, Run run) {
        const Resource& noun = resource_;
        out_.push_back({path(verb), std::string(summary), options,
                        [&noun, run](const Args& args, Io& io) { return run(noun, args, io); }});
    }
    void make_writing(std::string_view verb, const Operation& operation, Run run,
                      std::string_view summary) {
        const Resource& noun = resource_;
        const bool creates = &operation == &noun.create;
        const auto options = [&noun, &operation, creates](CLI::App& app, Args& args) {
            name_option(app, noun, args);
            Flags{app, args, creates ? noun.key : "", creates}.add(operation.fields, "");
        };
        out_.push_back({path(verb), std::string(summary), options,
                        [&noun, run](const Args& args, Io& io) { return run(noun, args, io); }});
    }
    void make_action(const client::Action& action) {
        const Resource& noun = resource_;
        const auto options = [&noun, &action](CLI::App& app, Args& args) {
            name_option(app, noun, args);
            Flags{app, args}.add(action.operation.fields, "");
        };
        out_.push_back(
            {path(action.verb), std::string(action.help), options,
             [&noun, &action](const Args& args, Io& io) { return act(noun, action, args, io); }});
    }

    const Resource& resource_;
    std::vector<NounCommand>& out_;
};

}  // namespace

int tenant_rename(const Args& args, Io& io) {
    return change("tenant", args, io, {"name", args.new_name});
}
int network_rename(const Args& args, Io& io) {
    return change("network", args, io, {"name", args.new_name});
}
int node_rename(const Args& args, Io& io) {
    return change("node", args, io, {"name", args.new_name});
}
int user_role(const Args& args, Io& io) {
    return change("user", args, io, {"role", std::string(text(args.tenant_role))});
}
int user_disable(const Args& args, Io& io) {
    return change("user", args, io, {"disabled", "true"});
}
int user_enable(const Args& args, Io& io) {
    return change("user", args, io, {"disabled", "false"});
}
int service_account_role(const Args& args, Io& io) {
    return change("service-account", args, io, {"role", std::string(text(args.tenant_role))});
}
int service_account_disable(const Args& args, Io& io) {
    return change("service-account", args, io, {"disabled", "true"});
}
int service_account_enable(const Args& args, Io& io) {
    return change("service-account", args, io, {"disabled", "false"});
}
int webhook_enable(const Args& args, Io& io) {
    return change("webhook", args, io, {"enabled", "true"});
}
int webhook_disable(const Args& args, Io& io) {
    return change("webhook", args, io, {"enabled", "false"});
}

std::vector<NounCommand> noun_commands() {
    std::vector<NounCommand> out;
    for (const Resource& resource : client::resources()) Maker(resource, out).make();
    std::erase_if(out, [](const NounCommand& made) {
        return std::any_of(command_table().begin(), command_table().end(),
                           [&](const Command& own) { return own.path == made.path; });
    });
    return out;
}

}  // namespace cvlan::cli
