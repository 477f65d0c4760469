// SPDX-License-Identifier: Apache-2.0
#pragma once

// charon's commands with their types, over a Session, whose thread and errors they have. What
// charon refuses is Code::Invalid with its own words, or NotFound where there is none of that name.
// initiate, terminate and rekey begin and do not wait: Events tell how it went.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "vici/config.h"
#include "vici/sa.h"
#include "vici/session.h"

namespace cvlan::vici {

struct Version {
    std::string daemon{};   // charon-systemd
    std::string version{};  // 5.9.8
};

struct Stats {
    uint32_t workers = 0;
    uint32_t workers_idle = 0;
    uint32_t ike_sas = 0;
    uint32_t ike_sas_half_open = 0;
    std::vector<std::string> plugins{};
};

// What list-conns says of one.
struct LoadedConnection {
    std::string name{};
    std::string version{};  // IKEv2
    std::vector<std::string> local_addrs{};
    std::vector<std::string> remote_addrs{};
    struct Child {
        std::string name{};
        std::string mode{};
        std::vector<std::string> local_ts{};
        std::vector<std::string> remote_ts{};
    };
    std::vector<Child> children{};
};

// Exactly one of them is set.
struct SaSelector {
    std::optional<std::string> ike{};  // all of a connection's name
    std::optional<std::string> child{};
    std::optional<uint32_t> ike_id{};  // IkeSa::unique_id
    std::optional<uint32_t> child_id{};
};

using Counters = std::map<std::string, uint64_t>;

// What a round trip says of charon (I27). Wedged is for whoever restarts its unit; Gone is
// systemd's to repair. Unknown: it was not asked, since the session waits.
enum class Health : uint8_t { Well, Wedged, Gone, Unknown };
Health health_of(const Result<Version>& answer);

class Charon {
public:
    explicit Charon(Session& session) : session_(session) {}

    Result<Version> version();
    Result<Stats> stats();

    // A connection of that name is updated or replaced.
    Result<void> load_conn(const Connection& connection);
    Result<void> unload_conn(const std::string& name);
    Result<std::vector<std::string>> get_conns();
    Result<std::vector<LoadedConnection>> list_conns();

    // PEM or DER. Gives the id by which unload_key and get_keys name it.
    Result<std::string> load_key(const SecretText& key);
    Result<void> unload_key(const std::string& id);
    Result<std::vector<std::string>> get_keys();
    // PEM or DER, for chains; `is_ca` of an authority's.
    Result<void> load_cert(const std::string& certificate, bool is_ca);
    Result<void> load_shared(const SharedSecret& secret);
    Result<void> unload_shared(const std::string& id);
    Result<std::vector<std::string>> get_shared();
    Result<void> load_authority(const Authority& authority);
    Result<void> unload_authority(const std::string& name);
    // `type` as list-certs has it (X509, X509_CRL, …); empty: all. Of the cache, not what was
    // loaded.
    Result<void> flush_certs(const std::string& type = {});
    // All keys, shared secrets and certificates that were loaded here.
    Result<void> clear_creds();

    Result<void> load_pool(const Pool& pool);
    // Invalid while it has leases.
    Result<void> unload_pool(const std::string& name);

    Result<void> initiate(const std::string& child, const std::string& ike);
    // How many SAs it is about.
    Result<uint32_t> terminate(const SaSelector& which);
    Result<uint32_t> rekey(const SaSelector& which);

    Result<std::vector<IkeSa>> list_sas();
    // Of a connection, or of all together.
    Result<Counters> get_counters(const std::string& connection = {});

private:
    Result<Message> done(std::string_view command, const Message& arguments);
    Result<void> plainly_done(std::string_view command, const Message& arguments);
    Result<std::vector<std::string>> names(std::string_view command, std::string_view list);
    Result<uint32_t> matching(std::string_view command, const SaSelector& which);

    Session& session_;
};

}  // namespace cvlan::vici
