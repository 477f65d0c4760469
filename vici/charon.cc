// SPDX-License-Identifier: Apache-2.0
#include "vici/charon.h"

#include "vici/fields.h"

namespace cvlan::vici {

namespace {

// charon has no codes: its words for what is not there.
Code code_of(std::string_view words) {
    const bool is_absent = words.find("not found") != std::string_view::npos ||
                           words.find("no matching") != std::string_view::npos ||
                           words.find("no counters found") != std::string_view::npos;
    return is_absent ? Code::NotFound : Code::Invalid;
}

Message named(std::string_view key, const std::string& value) {
    Message message;
    message.put(key, value);
    return message;
}

Result<LoadedConnection> parse_connection(const Message& entry) {
    for (const Element& element : entry.elements()) {
        const auto* section = std::get_if<Message>(&element.content);
        if (section == nullptr) continue;
        LoadedConnection out;
        out.name = printable(element.name);
        Fields fields(*section);
        fields.read("version", out.version)
            .read("local_addrs", out.local_addrs)
            .read("remote_addrs", out.remote_addrs);
        const Message* children = section->section("children");
        if (children == nullptr) return fields.ended(std::move(out), "list-conn");
        for (const Element& child : children->elements()) {
            const auto* inside = std::get_if<Message>(&child.content);
            if (inside == nullptr) return fail(Code::Malformed, "{}: no child", out.name);
            LoadedConnection::Child& one = out.children.emplace_back();
            one.name = printable(child.name);
            Fields(*inside)
                .read("mode", one.mode)
                .read("local-ts", one.local_ts)
                .read("remote-ts", one.remote_ts);
        }
        return fields.ended(std::move(out), "list-conn");
    }
    return fail(Code::Malformed, "no connection");
}

void put_selector(Message& out, const SaSelector& which) {
    if (which.ike) out.put("ike", *which.ike);
    if (which.child) out.put("child", *which.child);
    if (which.ike_id) out.put("ike-id", std::to_string(*which.ike_id));
    if (which.child_id) out.put("child-id", std::to_string(*which.child_id));
}

}  // namespace

Health health_of(const Result<Version>& answer) {
    if (answer) return Health::Well;
    if (answer.error().reason == kTimedOut) return Health::Wedged;
    if (answer.error().reason == kBackingOff) return Health::Unknown;
    // Who answers, but not what charon would, is as good as wedged.
    return answer.error().code == Code::Unavailable ? Health::Gone : Health::Wedged;
}

// A command that answers success and errmsg.
Result<Message> Charon::done(std::string_view command, const Message& arguments) {
    auto answer = session_.command(command, arguments);
    if (!answer || answer->text("success") == "yes") return answer;
    const std::string words =
        printable(answer->text("errmsg").value_or("no reason").substr(0, 256));
    return fail(code_of(words), "charon: {}: {}", command, words);
}

Result<void> Charon::plainly_done(std::string_view command, const Message& arguments) {
    auto answer = done(command, arguments);
    if (!answer) return failed(answer.error());
    return {};
}

Result<std::vector<std::string>> Charon::names(std::string_view command, std::string_view list) {
    auto answer = session_.command(command);
    if (!answer) return failed(answer.error());
    std::vector<std::string> out;
    Fields(*answer).read(list, out);
    return out;
}

Result<Version> Charon::version() {
    auto answer = session_.command("version");
    if (!answer) return failed(answer.error());
    Version version;
    Fields fields(*answer);
    fields.need("version").read("daemon", version.daemon).read("version", version.version);
    return fields.ended(std::move(version), "version");
}

Result<Stats> Charon::stats() {
    auto answer = session_.command("stats");
    if (!answer) return failed(answer.error());
    Stats stats;
    Fields top(*answer);
    top.read("plugins", stats.plugins);
    const Message none;
    const Message* workers = answer->section("workers");
    const Message* ike_sas = answer->section("ikesas");
    Fields of_workers(workers != nullptr ? *workers : none);
    of_workers.need("total").read("total", stats.workers).read("idle", stats.workers_idle);
    Fields of_sas(ike_sas != nullptr ? *ike_sas : none);
    of_sas.need("total").read("total", stats.ike_sas).read("half-open", stats.ike_sas_half_open);
    if (auto good = of_workers.ended(true, "stats: workers"); !good) return failed(good.error());
    return of_sas.ended(std::move(stats), "stats: ikesas");
}

Result<void> Charon::load_conn(const Connection& connection) {
    return plainly_done("load-conn", to_message(connection));
}

Result<void> Charon::unload_conn(const std::string& name) {
    return plainly_done("unload-conn", named("name", name));
}

Result<std::vector<std::string>> Charon::get_conns() { return names("get-conns", "conns"); }

Result<std::vector<LoadedConnection>> Charon::list_conns() {
    std::vector<LoadedConnection> out;
    const auto each = [&](const Message& entry) -> Result<void> {
        auto connection = parse_connection(entry);
        if (!connection) return failed(connection.error());
        out.push_back(std::move(*connection));
        return {};
    };
    auto answer = session_.streamed({"list-conns", "list-conn"}, {}, each);
    if (!answer) return failed(answer.error());
    return out;
}

Result<std::string> Charon::load_key(const SecretText& key) {
    Message message;
    message.put("type", "any").put("data", key.reveal());
    auto answer = done("load-key", message);
    if (!answer) return failed(answer.error());
    std::string id;
    Fields fields(*answer);
    fields.need("id").read("id", id);
    return fields.ended(std::move(id), "load-key");
}

Result<void> Charon::unload_key(const std::string& id) {
    return plainly_done("unload-key", named("id", id));
}

Result<std::vector<std::string>> Charon::get_keys() { return names("get-keys", "keys"); }

Result<void> Charon::load_cert(const std::string& certificate, bool is_ca) {
    Message message;
    message.put("type", "X509").put("flag", is_ca ? "CA" : "NONE").put("data", certificate);
    return plainly_done("load-cert", message);
}

Result<void> Charon::load_shared(const SharedSecret& secret) {
    auto message = to_message(secret);
    if (!message) return failed(message.error());
    return plainly_done("load-shared", *message);
}

Result<void> Charon::unload_shared(const std::string& id) {
    return plainly_done("unload-shared", named("id", id));
}

Result<std::vector<std::string>> Charon::get_shared() { return names("get-shared", "keys"); }

Result<void> Charon::load_authority(const Authority& authority) {
    return plainly_done("load-authority", to_message(authority));
}

Result<void> Charon::unload_authority(const std::string& name) {
    return plainly_done("unload-authority", named("name", name));
}

Result<void> Charon::flush_certs(const std::string& type) {
    return plainly_done("flush-certs", type.empty() ? Message() : named("type", type));
}

Result<void> Charon::clear_creds() { return plainly_done("clear-creds", {}); }

Result<void> Charon::load_pool(const Pool& pool) {
    return plainly_done("load-pool", to_message(pool));
}

Result<void> Charon::unload_pool(const std::string& name) {
    return plainly_done("unload-pool", named("name", name));
}

Result<void> Charon::initiate(const std::string& child, const std::string& ike) {
    Message message;
    // -1: at once, whatever comes of it.
    message.put("child", child).put("ike", ike).put("timeout", "-1");
    return plainly_done("initiate", message);
}

Result<uint32_t> Charon::matching(std::string_view command, const SaSelector& which) {
    Message message;
    put_selector(message, which);
    if (message.elements().size() != 1) return fail(Code::Invalid, "{}: which SA?", command);
    if (command == "terminate") message.put("timeout", "-1");
    auto answer = done(command, message);
    if (!answer) return failed(answer.error());
    uint32_t matches = 0;
    return Fields(*answer).read("matches", matches).ended(matches, command);
}

Result<uint32_t> Charon::terminate(const SaSelector& which) { return matching("terminate", which); }

Result<uint32_t> Charon::rekey(const SaSelector& which) { return matching("rekey", which); }

Result<std::vector<IkeSa>> Charon::list_sas() {
    std::vector<IkeSa> out;
    const auto each = [&](const Message& entry) -> Result<void> {
        auto sa = parse_ike_sa(entry);
        if (!sa) return failed(sa.error());
        out.push_back(std::move(*sa));
        return {};
    };
    auto answer = session_.streamed({"list-sas", "list-sa"}, {}, each);
    if (!answer) return failed(answer.error());
    return out;
}

Result<Counters> Charon::get_counters(const std::string& connection) {
    auto answer = done("get-counters", connection.empty() ? Message() : named("name", connection));
    if (!answer) return failed(answer.error());
    Counters out;
    const Message* sections = answer->section("counters");
    if (sections == nullptr) return out;
    for (const Element& element : sections->elements()) {
        const auto* section = std::get_if<Message>(&element.content);
        if (section == nullptr) return fail(Code::Malformed, "get-counters: no counters");
        Fields fields(*section);
        for (const Element& counter : section->elements())
            fields.read(counter.name, out[printable(counter.name)]);
        if (auto good = fields.ended(true, "get-counters"); !good) return failed(good.error());
    }
    return out;
}

}  // namespace cvlan::vici
