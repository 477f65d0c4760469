// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an agent is configured with: flag > environment CVLAN_* > /etc/cvlan/agent.toml > default.
// docs/man/cvlan-agent.toml.5.scd lists every key; a new one goes there in the same commit.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "base/result.h"
#include "base/settings.h"
#include "vici/socket.h"

namespace cvlan::agent {

inline constexpr const char* kDefaultConfigPath = "/etc/cvlan/agent.toml";

struct AgentConfig {
    std::string state_dir = "/var/lib/cvlan-agent";
    std::string socket = "/run/cvlan/agent.sock";
    std::string socket_group;                          // empty: that of the process
    std::vector<Endpoint> advertise_endpoints;         // reported beside those that are found
    uint16_t listen_port = 51820;                      // of the first network, or the next free one
    uint16_t mtu = 0;                                  // 0: what the network says
    bool port_mapping = true;                          // by PCP or NAT-PMP
    bool upnp = false;                                 // and by UPnP
    std::string charon_socket = vici::kDefaultSocket;  // charon's, for networks over IPsec
    std::chrono::seconds ipsec_rekey{3600};            // of a CHILD_SA
    std::string proxy;                                 // of http::parse_proxy; empty: none
    std::optional<Endpoint> metrics;                   // loopback; none: they are not served
    bool report_mac_addresses = true;
    log::Level log_level = log::Level::Info;
    bool tenants_apart = false;  // each in a network namespace of its own: cvlan-vrouter's, no key
};

// Flags which were given on the command line.
struct Overrides {
    std::optional<std::string> state_dir;
    std::optional<std::string> socket;
    std::optional<std::string> log_level;
};

// `defaults` is what holds where nothing is said.
Result<AgentConfig> load_config(const std::string& path, const Overrides& flags,
                                Environment environment, AgentConfig defaults = {});
Result<AgentConfig> parse_config(std::string_view text, const std::string& path,
                                 const Overrides& flags, Environment environment,
                                 AgentConfig defaults = {});

// The group of the socket; nothing where none is configured, Code::Invalid where there is no such
// group.
Result<std::optional<gid_t>> socket_group(const AgentConfig& config);
// What can be told of this machine before anything is touched: the group is there, and state_dir,
// if it is, may be used.
Result<void> check_machine(const AgentConfig& config);

// The whole of it as TOML, as --print-config shows it.
std::string print_config(const AgentConfig& config);

}  // namespace cvlan::agent
