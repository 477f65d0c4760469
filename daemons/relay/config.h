// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a relay is configured with: flag > environment CVLAN_* > /etc/cvlan/relay.toml > default.
// docs/man/cvlan-relay.toml.5.scd lists every key; a new one goes there in the same commit.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "base/result.h"
#include "base/settings.h"
#include "relay/pairs.h"
#include "relay/server.h"

namespace cvlan::relayd {

inline constexpr const char* kDefaultConfigPath = "/etc/cvlan/relay.toml";

struct RelayConfig {
    std::string state_dir = "/var/lib/cvlan-relay";
    Endpoint listen;                              // of TLS
    std::vector<uint16_t> stun_ports{3478, 443};  // UDP
    std::optional<Endpoint> metrics;              // loopback
    bool udp_relaying = true;
    bool enable_forwarding = true;  // of the devices with our addresses
    relay::PairLimits pairs;
    relay::ServerLimits limits;
    log::Level log_level = log::Level::Info;
};

// Flags which were given on the command line.
struct Overrides {
    std::optional<std::string> state_dir;
    std::optional<std::string> log_level;
};

Result<RelayConfig> load_config(const std::string& path, const Overrides& flags,
                                Environment environment);
Result<RelayConfig> parse_config(std::string_view text, const std::string& path,
                                 const Overrides& flags, Environment environment);
// The whole of it as TOML, as --print-config shows it.
std::string print_config(const RelayConfig& config);

}  // namespace cvlan::relayd
