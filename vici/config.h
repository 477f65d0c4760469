// SPDX-License-Identifier: Apache-2.0
#pragma once

// What charon is told: connections, credentials, pools. Fields have their names, meanings and
// values from swanctl.conf(5); one that is absent is charon's default. Pure: to_message() gives
// what load-conn and the others take. IKEv2 only: no other version can be said.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "vici/message.h"

namespace cvlan::vici {

using Texts = std::vector<std::string>;
using Seconds = std::chrono::seconds;

struct Auth {
    std::string auth = "pubkey";      // pubkey, psk, eap-tls, …
    std::optional<std::string> id{};  // "fqdn:a.example", "@#…", a DN; absent: the certificate's
    std::optional<std::string> eap_id{};
    Texts certs{};                       // PEM or DER; of remote: no other certificate
    Texts cacerts{};                     // of remote: PEM or DER, one of them in the peer's chain
    std::optional<std::string> ca_id{};  // of remote
    Texts groups{};                      // of remote
    Texts cert_policy{};                 // of remote
    std::optional<std::string> revocation{};  // of remote: relaxed, strict, ifuri
    bool operator==(const Auth&) const = default;
};

struct Child {
    std::string name{};
    Texts esp_proposals{};
    Texts local_ts{};
    Texts remote_ts{};
    std::optional<std::string> mode{};          // tunnel, transport, …
    std::optional<std::string> start_action{};  // none, trap, start
    std::optional<std::string> close_action{};
    std::optional<std::string> dpd_action{};  // clear, trap, restart
    std::optional<bool> policies{};
    std::optional<Seconds> rekey_time{};
    std::optional<Seconds> life_time{};
    std::optional<Seconds> rand_time{};
    std::optional<uint64_t> rekey_bytes{};
    std::optional<uint64_t> rekey_packets{};
    std::optional<Seconds> inactivity{};
    std::optional<uint32_t> reqid{};
    std::optional<uint32_t> priority{};
    std::optional<uint32_t> if_id_in{};
    std::optional<uint32_t> if_id_out{};
    std::optional<uint32_t> replay_window{};
    std::optional<std::string> hw_offload{};
    std::optional<bool> copy_df{};
    bool operator==(const Child&) const = default;
};

struct Connection {
    std::string name{};
    Texts local_addrs{};
    Texts remote_addrs{};
    std::optional<uint16_t> local_port{};
    std::optional<uint16_t> remote_port{};
    Texts proposals{};
    Texts vips{};
    Texts pools{};
    std::optional<bool> encap{};
    std::optional<bool> mobike{};
    std::optional<Seconds> dpd_delay{};
    std::optional<std::string> fragmentation{};
    std::optional<std::string> childless{};
    std::optional<bool> send_certreq{};
    std::optional<std::string> send_cert{};
    std::optional<uint32_t> keyingtries{};
    std::optional<std::string> unique{};  // never, no, keep, replace
    std::optional<Seconds> reauth_time{};
    std::optional<Seconds> rekey_time{};
    std::optional<Seconds> over_time{};
    std::optional<Seconds> rand_time{};
    std::optional<uint32_t> if_id_in{};
    std::optional<uint32_t> if_id_out{};
    std::vector<Auth> local{};  // rounds, in their order
    std::vector<Auth> remote{};
    std::vector<Child> children{};
    bool operator==(const Connection&) const = default;
};

// Keys are charon's and not a connection's: it takes any whose owners fit (README.md). So they have
// owners, and a name by which they can be taken away.
struct SharedSecret {
    std::string id{};          // unload-shared names it
    std::string type = "IKE";  // IKE, EAP, …
    SecretText data{};         // any bytes
    Texts owners{};            // identities of both ends; not empty
};

struct Authority {
    std::string name{};
    std::string cacert{};  // PEM or DER
    Texts crl_uris{};
    Texts ocsp_uris{};
    bool operator==(const Authority&) const = default;
};

struct Pool {
    std::string name{};
    std::string addrs{};  // "10.9.0.0/24", "10.9.0.10-10.9.0.20"
    Texts dns{};
    bool operator==(const Pool&) const = default;
};

Message to_message(const Connection& connection);
Message to_message(const Authority& authority);
Message to_message(const Pool& pool);
// Code::Invalid without an id, without owners or with an empty secret, which would fit anybody.
Result<Message> to_message(const SharedSecret& secret);

}  // namespace cvlan::vici
