// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/config.h"

#include <grp.h>

#include "base/settings.h"
#include "daemons/agent/identity.h"
#include "http/tunnel.h"

namespace cvlan::agent {

namespace {

constexpr size_t kMaxAdvertised = 16;

void read_endpoints(Config& file, AgentConfig& config) {
    constexpr std::string_view kKey = "advertise_endpoints";
    const auto texts = file.texts(kKey);
    if (!texts) return;
    if (texts->size() > kMaxAdvertised)
        file.reject(kKey, fmt::format("must be at most {} endpoints", kMaxAdvertised));
    for (const std::string& text : *texts) {
        auto endpoint = Endpoint::parse(text);
        if (!endpoint)
            file.reject(kKey, endpoint.error().message);
        else if (endpoint->port == 0 || endpoint->address.is_unspecified() ||
                 endpoint->address.is_multicast() || endpoint->address.is_loopback())
            file.reject(kKey, fmt::format("nobody can send to {}", endpoint->text()));
        else
            config.advertise_endpoints.push_back(*endpoint);
    }
}

void read_paths(Settings& settings, const Overrides& flags, AgentConfig& config) {
    const auto take = [&](std::string_view key, const std::optional<std::string>& flag,
                          std::string& out) {
        auto set = settings.text(key);
        if (flag) set = flag;
        if (!set) return;
        if (set->empty() || set->front() != '/' || set->find('\0') != std::string::npos)
            settings.file().reject(key, "must be an absolute path");
        out = *set;
    };
    take("state_dir", flags.state_dir, config.state_dir);
    take("socket", flags.socket, config.socket);
    take("charon_socket", std::nullopt, config.charon_socket);
    // sockaddr_un holds 108 bytes, one of them for the end.
    for (const auto& [key, path] :
         {std::pair{"socket", &config.socket}, std::pair{"charon_socket", &config.charon_socket}})
        if (path->size() > 107) settings.file().reject(key, "must be shorter than 108 bytes");
}

void read_proxy(Settings& settings, AgentConfig& config) {
    auto text = settings.text("proxy");
    if (!text || text->empty()) return;
    if (auto proxy = http::parse_proxy(*text); !proxy)
        settings.file().reject("proxy", proxy.error().message);
    config.proxy = std::move(*text);
}

Result<AgentConfig> read(Config file, const Overrides& flags, Environment environment,
                         AgentConfig config) {
    Settings settings(std::move(file), environment);
    read_paths(settings, flags, config);
    config.log_level = settings.log_level(flags.log_level).value_or(config.log_level);
    read_endpoints(settings.file(), config);
    read_proxy(settings, config);
    config.metrics = settings.loopback_endpoint("metrics");
    config.socket_group = settings.text("socket_group").value_or("");
    config.listen_port = static_cast<uint16_t>(
        settings.integer("listen_port", 1, 65535).value_or(config.listen_port));
    config.mtu = static_cast<uint16_t>(settings.integer("mtu", 1280, 9000).value_or(0));
    config.port_mapping = settings.boolean("port_mapping").value_or(true);
    config.upnp = settings.boolean("upnp").value_or(false);
    config.ipsec_rekey =
        std::chrono::seconds(settings.integer("ipsec_rekey_seconds", 10, 86400).value_or(3600));
    config.report_mac_addresses = settings.boolean("report_mac_addresses").value_or(true);
    if (auto finished = settings.finish(); !finished) return failed(finished.error());
    return config;
}

}  // namespace

Result<AgentConfig> load_config(const std::string& path, const Overrides& flags,
                                Environment environment, AgentConfig defaults) {
    auto file = Config::load(path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment, std::move(defaults));
}

Result<AgentConfig> parse_config(std::string_view text, const std::string& path,
                                 const Overrides& flags, Environment environment,
                                 AgentConfig defaults) {
    auto file = Config::parse(text, path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment, std::move(defaults));
}

Result<std::optional<gid_t>> socket_group(const AgentConfig& config) {
    if (config.socket_group.empty()) return std::nullopt;
    const group* found = getgrnam(config.socket_group.c_str());
    if (!found) return fail(Code::Invalid, "socket_group: no group '{}'", config.socket_group);
    return found->gr_gid;
}

Result<void> check_machine(const AgentConfig& config) {
    if (auto group = socket_group(config); !group) return failed(group.error());
    return StateDir::check(config.state_dir);
}

std::string print_config(const AgentConfig& config) {
    std::vector<std::string> endpoints;
    for (const Endpoint& endpoint : config.advertise_endpoints)
        endpoints.push_back(toml_string(endpoint.text()));
    std::string out;
    out += fmt::format("state_dir = {}\n", toml_string(config.state_dir));
    out += fmt::format("socket = {}\n", toml_string(config.socket));
    if (!config.socket_group.empty())
        out += fmt::format("socket_group = {}\n", toml_string(config.socket_group));
    out += fmt::format("advertise_endpoints = [{}]\n", fmt::join(endpoints, ", "));
    out += fmt::format("listen_port = {}\n", config.listen_port);
    if (config.mtu) out += fmt::format("mtu = {}\n", config.mtu);
    out += fmt::format("port_mapping = {}\n", config.port_mapping);
    out += fmt::format("upnp = {}\n", config.upnp);
    // What is secret in it is not shown.
    if (auto proxy = http::parse_proxy(config.proxy))
        out += fmt::format("proxy = {}\n", toml_string(proxy->text()));
    out += fmt::format("charon_socket = {}\n", toml_string(config.charon_socket));
    out += fmt::format("ipsec_rekey_seconds = {}\n", config.ipsec_rekey.count());
    if (config.metrics) out += fmt::format("metrics = {}\n", toml_string(config.metrics->text()));
    out += fmt::format("report_mac_addresses = {}\n", config.report_mac_addresses);
    out += fmt::format("log_level = {}\n", toml_string(level_text(config.log_level)));
    return out;
}

}  // namespace cvlan::agent
