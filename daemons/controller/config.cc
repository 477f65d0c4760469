// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/config.h"

#include <grp.h>

#include <algorithm>
#include <cstdlib>

#include "base/config.h"

namespace cvlan::controller {

namespace {

// The value from the environment, else from the file.
std::optional<std::string> text_of(Config& file, std::string_view key, const char* variable) {
    auto from_file = file.text(key);
    if (const char* value = std::getenv(variable)) return std::string(value);
    return from_file;
}

std::optional<Endpoint> endpoint_of(Config& file, std::string_view key, const char* variable) {
    const auto text = text_of(file, key, variable);
    if (!text) return std::nullopt;
    auto endpoint = Endpoint::parse(*text);
    if (endpoint && endpoint->port != 0) return *endpoint;
    file.reject(key, endpoint ? "must have a port from 1 to 65535" : endpoint.error().message);
    return std::nullopt;
}

void read_listen(Config& file, ControllerConfig& config) {
    config.api.address = *Address::parse("::");
    if (auto api = endpoint_of(file, "listen.api", "CVLAN_LISTEN_API")) config.api = *api;
    const auto role = [&](const char* key, const char* variable) {
        return endpoint_of(file, key, variable).value_or(config.api);
    };
    config.discovery = role("listen.discovery", "CVLAN_LISTEN_DISCOVERY");
    config.registration = role("listen.registration", "CVLAN_LISTEN_REGISTRATION");
    config.session = role("listen.session", "CVLAN_LISTEN_SESSION");
    config.metrics = endpoint_of(file, "listen.metrics", "CVLAN_LISTEN_METRICS");
    if (config.metrics && !config.metrics->address.is_loopback())
        file.reject("listen.metrics", "must be a loopback address");
}

// Of this process; on SQLite all of them are in one.
void read_roles(Config& file, ControllerConfig& config) {
    const auto names = file.texts("roles");
    if (!names) return;
    config.roles.clear();
    for (const std::string& name : *names) {
        const auto role = api::role_named(name);
        if (!role)
            file.reject("roles", "may hold discovery, registration, session and api");
        else
            config.roles.insert(*role);
    }
    if (names->empty()) file.reject("roles", "must hold one at least");
}

void read_proxies(Config& file, ControllerConfig& config) {
    for (const api::Role role : api::kAllRoles) {
        const std::string key = fmt::format("proxy_protocol_from.{}", name_of(role));
        const auto texts = file.texts(key);
        if (!texts) continue;
        for (const std::string& text : *texts) {
            if (const auto prefix = Prefix::parse(text); prefix)
                config.proxies[role].push_back(*prefix);
            else
                file.reject(key, prefix.error().message);
        }
    }
}

std::string names_of(const api::Roles& roles) {
    std::string names;
    for (const api::Role role : roles)
        names += fmt::format("{}'{}'", names.empty() ? "" : ", ", name_of(role));
    return names;
}

std::string texts_of(const std::vector<Prefix>& prefixes) {
    std::string texts;
    for (const Prefix& prefix : prefixes)
        texts += fmt::format("{}'{}'", texts.empty() ? "" : ", ", prefix.text());
    return texts;
}

std::string print_roles(const ControllerConfig& config) {
    std::string proxies, limits;
    for (const api::Role role : api::kAllRoles) {
        if (const auto found = config.proxies.find(role); found != config.proxies.end())
            proxies += fmt::format("{} = [{}]\n", name_of(role), texts_of(found->second));
        if (const auto found = config.role_limits.find(role); found != config.role_limits.end())
            limits += fmt::format("\n[limits.{}]\nconnections = {}\nconnections_per_address = {}\n",
                                  name_of(role), found->second.connections,
                                  found->second.connections_per_address);
    }
    if (!proxies.empty()) proxies = "\n[proxy_protocol_from]\n" + proxies;
    return limits + proxies;
}

// Whether the table says anything.
bool read_connections(Config& file, const std::string& table, http::Limits& limits) {
    const auto per_address = file.integer(table + ".connections_per_address", 1, 1000000);
    const auto all = file.integer(table + ".connections", 1, 1000000);
    if (per_address) limits.connections_per_address = static_cast<size_t>(*per_address);
    if (all) limits.connections = static_cast<size_t>(*all);
    return per_address || all;
}

void read_database(Config& file, ControllerConfig& config) {
    store::PostgresAddress& database = config.database;
    if (auto url = text_of(file, "database.url", "CVLAN_DATABASE_URL")) database.url = *url;
    if (auto path = text_of(file, "database.password_file", "CVLAN_DATABASE_PASSWORD_FILE"))
        database.password_file = *path;
    if (!database.url.empty())
        if (auto good = store::check_postgres_url(database.url); !good)
            file.reject("database.url", good.error().message);
    if (!database.password_file.empty() && !database.password_file.starts_with('/'))
        file.reject("database.password_file", "must be an absolute path");
}

void read_limits(Config& file, ControllerConfig& config) {
    read_connections(file, "limits", config.limits);
    for (const api::Role role : api::kAllRoles) {
        http::Limits limits = config.limits;
        if (read_connections(file, fmt::format("limits.{}", name_of(role)), limits))
            config.role_limits[role] = limits;
    }
    if (auto failures = file.integer("limits.failed_enrolments_per_minute", 1, 1000000))
        config.failed_enrolments_per_minute = static_cast<int>(*failures);
    for (const std::string& text :
         file.texts("webhooks.allowed_prefixes").value_or(std::vector<std::string>{})) {
        auto prefix = Prefix::parse(text);
        if (prefix)
            config.webhook_prefixes.push_back(*prefix);
        else
            file.reject("webhooks.allowed_prefixes", prefix.error().message);
    }
    if (auto days = file.integer("audit.keep_days", 1, 36500))
        config.keep_audit = std::chrono::hours(24 * *days);
}

}  // namespace

Result<ControllerConfig> load_config(const std::string& path) {
    auto file = Config::load(path);
    if (!file) return failed(file.error());
    ControllerConfig config;
    if (auto folder = text_of(*file, "state_dir", "CVLAN_STATE_DIR")) config.state_dir = *folder;
    if (auto socket = text_of(*file, "admin_socket", "CVLAN_ADMIN_SOCKET"))
        config.admin_socket = *socket;
    if (auto group = text_of(*file, "admin_group", "CVLAN_ADMIN_GROUP"))
        config.admin_group = *group;
    if (!config.admin_group.empty() && !getgrnam(config.admin_group.c_str()))
        file->reject("admin_group", fmt::format("names no group of this machine: '{}'",
                                                printable(config.admin_group)));
    if (auto name = text_of(*file, "server_name", "CVLAN_SERVER_NAME")) config.server_name = *name;
    if (auto level = text_of(*file, "log_level", "CVLAN_LOG_LEVEL")) {
        auto parsed = log::parse_level(*level);
        if (parsed)
            config.log_level = *parsed;
        else
            file->reject("log_level", parsed.error().message);
    }
    read_listen(*file, config);
    read_roles(*file, config);
    read_proxies(*file, config);
    read_limits(*file, config);
    read_database(*file, config);
    if (!config.state_dir.starts_with('/')) file->reject("state_dir", "must be an absolute path");
    if (!config.admin_socket.starts_with('/'))
        file->reject("admin_socket", "must be an absolute path");
    if (auto good = file->finish(); !good) return failed(good.error());
    return config;
}

std::string print_config(const ControllerConfig& config) {
    constexpr const char* kLevels[] = {"debug", "info", "warn", "error"};
    std::string text = fmt::format(
        "state_dir = '{}'\nadmin_socket = '{}'\nadmin_group = '{}'\nserver_name = '{}'\n"
        "log_level = '{}'\nroles = [{}]\n\n[listen]\ndiscovery = '{}'\nregistration = "
        "'{}'\nsession = '{}'\napi "
        "= '{}'\n",
        config.state_dir, config.admin_socket, config.admin_group, config.server_name,
        kLevels[static_cast<int>(config.log_level)], names_of(config.roles),
        config.discovery.text(), config.registration.text(), config.session.text(),
        config.api.text());
    if (config.metrics) text += fmt::format("metrics = '{}'\n", config.metrics->text());
    text += fmt::format(
        "\n[limits]\nconnections = {}\nconnections_per_address = {}\nfailed_enrolments_per_minute "
        "= {}\n\n[webhooks]\nallowed_prefixes = [{}]\n\n[audit]\nkeep_days = {}\n",
        config.limits.connections, config.limits.connections_per_address,
        config.failed_enrolments_per_minute, texts_of(config.webhook_prefixes),
        config.keep_audit.count() / 24);
    text += fmt::format("\n[database]\nurl = '{}'\npassword_file = '{}'\n", config.database.url,
                        config.database.password_file);
    return text + print_roles(config);
}

const Endpoint& ControllerConfig::at(api::Role role) const {
    switch (role) {
        case api::Role::Discovery:
            return discovery;
        case api::Role::Registration:
            return registration;
        case api::Role::Session:
            return session;
        case api::Role::Api:
            break;
    }
    return api;
}

std::map<Endpoint, ListenerConfig> listeners_of(const ControllerConfig& config) {
    std::map<Endpoint, ListenerConfig> listeners;
    for (const api::Role role : config.roles) {
        const auto own = config.role_limits.find(role);
        const http::Limits& wanted = own == config.role_limits.end() ? config.limits : own->second;
        const auto [entry, is_new] = listeners.try_emplace(config.at(role));
        ListenerConfig& listener = entry->second;
        http::Limits& limits = listener.limits;
        if (is_new) limits = wanted;
        limits.connections = std::max(limits.connections, wanted.connections);
        limits.connections_per_address =
            std::max(limits.connections_per_address, wanted.connections_per_address);
        listener.roles.insert(role);
        const auto before = config.proxies.find(role);
        if (before == config.proxies.end()) continue;
        listener.proxies.insert(listener.proxies.end(), before->second.begin(),
                                before->second.end());
    }
    return listeners;
}

}  // namespace cvlan::controller
