// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/config.h"

#include <charconv>

#include "base/settings.h"

namespace cvlan::relayd {

namespace {

constexpr int64_t kMost = int64_t{1} << 40;

void take(const std::optional<int64_t>& value, uint64_t& out) {
    if (value) out = static_cast<uint64_t>(*value);
}

std::optional<uint16_t> port_of(std::string_view text) {
    uint16_t port = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || stop != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

void read_ports(Settings& settings, RelayConfig& config) {
    if (const auto texts = settings.file().texts("stun_ports")) {
        config.stun_ports.clear();
        for (const std::string& text : *texts) {
            const auto port = port_of(text);
            if (!port)
                settings.file().reject("stun_ports", "must be ports as text: [\"3478\"]");
            else
                config.stun_ports.push_back(*port);
        }
        if (texts->empty() || texts->size() > 4)
            settings.file().reject("stun_ports", "must be one to four ports");
    }
    const auto range = settings.text("pair_ports");
    if (!range) return;
    const size_t dash = range->find('-');
    const auto first = port_of(range->substr(0, dash));
    const auto last = dash == std::string::npos ? first : port_of(range->substr(dash + 1));
    if (!first || !last || *first > *last)
        return settings.file().reject("pair_ports", "must be a range: \"49152-50175\"");
    config.pairs.first_port = *first;
    config.pairs.last_port = *last;
}

void read_limits(Settings& settings, RelayConfig& config) {
    relay::TenantLimits& tenant = config.limits.tenant;
    take(settings.integer("sessions", 1, kMost), config.limits.sessions);
    take(settings.integer("tenant_sessions", 1, kMost), tenant.sessions);
    take(settings.integer("tenant_packets_per_second", 0, kMost), tenant.packets_a_second);
    take(settings.integer("tenant_bytes_per_second", 0, kMost), tenant.bytes_a_second);
    take(settings.integer("tenant_pairs", 0, kMost), config.pairs.a_tenant);
}

Result<RelayConfig> read(Config file, const Overrides& flags, Environment environment) {
    RelayConfig config;
    Settings settings(std::move(file), environment);
    auto state_dir = settings.text("state_dir");
    if (flags.state_dir) state_dir = flags.state_dir;
    if (state_dir) config.state_dir = *state_dir;
    if (!config.state_dir.starts_with('/'))
        settings.file().reject("state_dir", "must be an absolute path");
    config.listen = settings.endpoint("listen").value_or(*Endpoint::parse("[::]:443"));
    config.metrics = settings.loopback_endpoint("metrics");
    config.udp_relaying = settings.boolean("udp_relaying").value_or(true);
    config.enable_forwarding = settings.boolean("enable_forwarding").value_or(true);
    read_ports(settings, config);
    read_limits(settings, config);
    config.log_level = settings.log_level(flags.log_level).value_or(config.log_level);
    if (auto finished = settings.finish(); !finished) return failed(finished.error());
    return config;
}

}  // namespace

Result<RelayConfig> load_config(const std::string& path, const Overrides& flags,
                                Environment environment) {
    auto file = Config::load(path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment);
}

Result<RelayConfig> parse_config(std::string_view text, const std::string& path,
                                 const Overrides& flags, Environment environment) {
    auto file = Config::parse(text, path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment);
}

std::string print_config(const RelayConfig& config) {
    std::vector<std::string> ports;
    for (const uint16_t port : config.stun_ports) ports.push_back(fmt::format("\"{}\"", port));
    std::string out;
    out += fmt::format("state_dir = {}\n", toml_string(config.state_dir));
    out += fmt::format("listen = {}\n", toml_string(config.listen.text()));
    out += fmt::format("stun_ports = [{}]\n", fmt::join(ports, ", "));
    if (config.metrics) out += fmt::format("metrics = {}\n", toml_string(config.metrics->text()));
    out += fmt::format("udp_relaying = {}\n", config.udp_relaying);
    out += fmt::format("enable_forwarding = {}\n", config.enable_forwarding);
    out += fmt::format("pair_ports = \"{}-{}\"\n", config.pairs.first_port, config.pairs.last_port);
    out += fmt::format("sessions = {}\n", config.limits.sessions);
    out += fmt::format("tenant_sessions = {}\n", config.limits.tenant.sessions);
    out += fmt::format("tenant_packets_per_second = {}\n", config.limits.tenant.packets_a_second);
    out += fmt::format("tenant_bytes_per_second = {}\n", config.limits.tenant.bytes_a_second);
    out += fmt::format("tenant_pairs = {}\n", config.pairs.a_tenant);
    out += fmt::format("log_level = {}\n", toml_string(level_text(config.log_level)));
    return out;
}

}  // namespace cvlan::relayd
