// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's configuration, /etc/cvlan/controller.toml (cvlan-controller.toml(5)).

#include <map>
#include <string>
#include <vector>

#include "api/roles.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/result.h"
#include "http/server.h"
#include "store/open.h"

namespace cvlan::controller {

struct ControllerConfig {
    std::string state_dir = "/var/lib/cvlan-controller";
    std::string admin_socket = "/run/cvlan/controller.sock";
    std::string admin_group;  // may read over the socket; empty: the process's own
    std::string server_name;  // empty: as `setup` wrote it down
    Endpoint api{{}, 8443};   // [::]:8443
    Endpoint discovery;       // each of these is `api` unless set
    Endpoint registration;
    Endpoint session;
    std::optional<Endpoint> metrics;  // loopback; absent: none
    store::PostgresAddress database;  // without a URL: SQLite, in the state folder
    int failed_enrolments_per_minute = 5;
    std::chrono::hours keep_audit{24 * 90};
    std::vector<Prefix> webhook_prefixes;  // not of the Internet, and may be told of events
    api::Roles roles{std::begin(api::kAllRoles), std::end(api::kAllRoles)};  // of this process
    http::Limits limits;                               // of each listener, but for:
    std::map<api::Role, http::Limits> role_limits;     // of this role's
    std::map<api::Role, std::vector<Prefix>> proxies;  // load balancers before this role
    log::Level log_level = log::Level::Info;
    bool trusts_clock = false;  // of the command line: it may be behind the database

    const Endpoint& at(api::Role role) const;
};

// One for each address. Roles that share an address share its thread, its balancers and the highest
// of their limits.
struct ListenerConfig {
    api::Roles roles;
    http::Limits limits;
    std::vector<Prefix> proxies;
};
std::map<Endpoint, ListenerConfig> listeners_of(const ControllerConfig& config);

// Flag > environment CVLAN_STATE_DIR, … > file > default. Every fault of the file, a line each.
Result<ControllerConfig> load_config(const std::string& path);
// As TOML, with every default filled in.
std::string print_config(const ControllerConfig& config);

}  // namespace cvlan::controller
