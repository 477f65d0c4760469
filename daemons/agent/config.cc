// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/config.h"

#include <grp.h>

#include <charconv>

#include "base/config.h"
#include "daemons/agent/identity.h"
#include "http/tunnel.h"

namespace cvlan::agent {

namespace {

constexpr size_t kMaxAdvertised = 16;

// One key after the other: environment before file; the file's value is asked for in any case, so
// that a wrong one is found even while it is overridden.
class Reader {
public:
    Reader(Config& file, Environment environment) : file_(file), environment_(environment) {}

    std::optional<std::string> text(std::string_view key) {
        auto from_file = file_.text(key);
        if (auto set = from_environment(key)) return set;
        return from_file;
    }

    std::optional<int64_t> integer(std::string_view key, int64_t lowest, int64_t highest) {
        auto from_file = file_.integer(key, lowest, highest);
        const auto set = from_environment(key);
        if (!set) return from_file;
        int64_t value = 0;
        const char* end = set->data() + set->size();
        const auto [stop, error] = std::from_chars(set->data(), end, value);
        if (error == std::errc() && stop == end && value >= lowest && value <= highest)
            return value;
        wrong(key, fmt::format("must be a whole number from {} to {}", lowest, highest));
        return std::nullopt;
    }

    std::optional<bool> boolean(std::string_view key) {
        auto from_file = file_.boolean(key);
        const auto set = from_environment(key);
        if (!set) return from_file;
        if (*set == "true") return true;
        if (*set == "false") return false;
        wrong(key, "must be true or false");
        return std::nullopt;
    }

    const std::vector<std::string>& faults() const { return faults_; }

private:
    static std::string variable(std::string_view key) {
        std::string name = "CVLAN_";
        for (const char c : key)
            name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        return name;
    }
    std::optional<std::string> from_environment(std::string_view key) const {
        const char* value = environment_(variable(key).c_str());
        if (!value || !*value) return std::nullopt;
        return std::string(value);
    }
    void wrong(std::string_view key, std::string_view why) {
        faults_.push_back(fmt::format("environment: {} {}", variable(key), why));
    }

    Config& file_;
    Environment environment_;
    std::vector<std::string> faults_;
};

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

void read_paths(Config& file, Reader& reader, const Overrides& flags, AgentConfig& config) {
    const auto take = [&](std::string_view key, const std::optional<std::string>& flag,
                          std::string& out) {
        auto set = reader.text(key);
        if (flag) set = flag;
        if (!set) return;
        if (set->empty() || set->front() != '/' || set->find('\0') != std::string::npos)
            file.reject(key, "must be an absolute path");
        out = *set;
    };
    take("state_dir", flags.state_dir, config.state_dir);
    take("socket", flags.socket, config.socket);
    // sockaddr_un holds 108 bytes, one of them for the end.
    if (config.socket.size() > 107) file.reject("socket", "must be shorter than 108 bytes");
}

void read_proxy(Config& file, Reader& reader, AgentConfig& config) {
    auto text = reader.text("proxy");
    if (!text || text->empty()) return;
    if (auto proxy = http::parse_proxy(*text); !proxy) file.reject("proxy", proxy.error().message);
    config.proxy = std::move(*text);
}

void read_level(Config& file, Reader& reader, const Overrides& flags, AgentConfig& config) {
    auto text = reader.text("log_level");
    if (flags.log_level) text = flags.log_level;
    if (!text) return;
    auto level = log::parse_level(*text);
    if (level)
        config.log_level = *level;
    else
        file.reject("log_level", level.error().message);
}

Result<AgentConfig> read(Config file, const Overrides& flags, Environment environment) {
    AgentConfig config;
    Reader reader(file, environment);
    read_paths(file, reader, flags, config);
    read_level(file, reader, flags, config);
    read_endpoints(file, config);
    read_proxy(file, reader, config);
    config.socket_group = reader.text("socket_group").value_or("");
    config.listen_port =
        static_cast<uint16_t>(reader.integer("listen_port", 1, 65535).value_or(config.listen_port));
    config.mtu = static_cast<uint16_t>(reader.integer("mtu", 1280, 9000).value_or(0));
    config.port_mapping = reader.boolean("port_mapping").value_or(true);
    config.upnp = reader.boolean("upnp").value_or(false);
    config.report_mac_addresses = reader.boolean("report_mac_addresses").value_or(true);

    std::vector<std::string> faults = reader.faults();
    if (auto finished = file.finish(); !finished) faults.push_back(finished.error().message);
    if (!faults.empty()) return fail(Code::Invalid, "{}", fmt::join(faults, "\n"));
    return config;
}

std::string_view level_text(log::Level level) {
    switch (level) {
        case log::Level::Debug:
            return "debug";
        case log::Level::Info:
            return "info";
        case log::Level::Warn:
            return "warn";
        case log::Level::Error:
            return "error";
    }
    return "info";
}

// A TOML basic string.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\u{:04X}", c);
        else
            out += c;
    }
    return out + '"';
}

}  // namespace

Result<AgentConfig> load_config(const std::string& path, const Overrides& flags,
                                Environment environment) {
    auto file = Config::load(path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment);
}

Result<AgentConfig> parse_config(std::string_view text, const std::string& path,
                                 const Overrides& flags, Environment environment) {
    auto file = Config::parse(text, path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment);
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
        endpoints.push_back(quoted(endpoint.text()));
    std::string out;
    out += fmt::format("state_dir = {}\n", quoted(config.state_dir));
    out += fmt::format("socket = {}\n", quoted(config.socket));
    if (!config.socket_group.empty())
        out += fmt::format("socket_group = {}\n", quoted(config.socket_group));
    out += fmt::format("advertise_endpoints = [{}]\n", fmt::join(endpoints, ", "));
    out += fmt::format("listen_port = {}\n", config.listen_port);
    if (config.mtu) out += fmt::format("mtu = {}\n", config.mtu);
    out += fmt::format("port_mapping = {}\n", config.port_mapping);
    out += fmt::format("upnp = {}\n", config.upnp);
    // What is secret in it is not shown.
    if (auto proxy = http::parse_proxy(config.proxy))
        out += fmt::format("proxy = {}\n", quoted(proxy->text()));
    out += fmt::format("report_mac_addresses = {}\n", config.report_mac_addresses);
    out += fmt::format("log_level = {}\n", quoted(level_text(config.log_level)));
    return out;
}

}  // namespace cvlan::agent
