// SPDX-License-Identifier: Apache-2.0
#pragma once

// What charon says of its SAs: entries of list-sas, and the events about them. Pure.
//
// Names and units are charon's, with ages and times in seconds. Texts are printable, whatever came:
// identities are the peer's own words. Keys that are unknown are skipped, newer versions have some;
// a known one that is no number where one is due, or an SA without its number and state, is
// Code::Malformed.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vici/message.h"

namespace cvlan::vici {

using Seconds = std::chrono::seconds;

struct Traffic {
    uint64_t bytes = 0;
    uint64_t packets = 0;
    std::optional<Seconds> since_last{};  // none yet
    bool operator==(const Traffic&) const = default;
};

struct ChildSa {
    std::string name{};  // of its configuration
    uint32_t unique_id = 0;
    uint32_t reqid = 0;
    std::string state{};     // INSTALLED, REKEYING, REKEYED, DELETING, …
    std::string mode{};      // TUNNEL
    std::string protocol{};  // ESP
    bool encap = false;      // in UDP
    uint32_t spi_in = 0;
    uint32_t spi_out = 0;
    uint32_t if_id_in = 0;
    uint32_t if_id_out = 0;
    std::string encr_alg{};  // AES_GCM_16
    uint32_t encr_keysize = 0;
    std::string integ_alg{};
    std::string dh_group{};
    bool esn = false;
    Traffic in{};
    Traffic out{};
    std::optional<Seconds> rekey_time{};    // until then; negative: it was due, charon is at it
    std::optional<Seconds> life_time{};     // until then
    std::optional<Seconds> install_time{};  // since then
    std::vector<std::string> local_ts{};
    std::vector<std::string> remote_ts{};
    bool is_installed() const { return state == "INSTALLED"; }
    bool operator==(const ChildSa&) const = default;
};

struct IkeSa {
    std::string name{};  // of its connection
    uint32_t unique_id = 0;
    uint32_t version = 0;
    std::string state{};  // CONNECTING, ESTABLISHED, REKEYING, DELETING, …
    std::string local_host{};
    uint16_t local_port = 0;
    std::string local_id{};
    std::string remote_host{};
    uint16_t remote_port = 0;
    std::string remote_id{};
    std::string remote_eap_id{};
    bool initiator = false;
    uint64_t initiator_spi = 0;
    uint64_t responder_spi = 0;
    bool nat_local = false;
    bool nat_remote = false;
    uint32_t if_id_in = 0;
    uint32_t if_id_out = 0;
    std::string encr_alg{};
    uint32_t encr_keysize = 0;
    std::string integ_alg{};
    std::string prf_alg{};
    std::string dh_group{};
    std::optional<Seconds> established{};  // since then
    std::optional<Seconds> rekey_time{};   // until then
    std::optional<Seconds> reauth_time{};  // until then
    std::vector<std::string> local_vips{};
    std::vector<std::string> remote_vips{};
    std::vector<ChildSa> child_sas{};
    bool is_established() const { return state == "ESTABLISHED"; }
    bool operator==(const IkeSa&) const = default;
};

// An entry of list-sas: one section, named after its connection.
Result<IkeSa> parse_ike_sa(const Message& entry);

enum class SaEventKind : uint8_t { IkeUp, IkeDown, ChildUp, ChildDown, IkeRekey, ChildRekey };

struct SaEvent {
    SaEventKind kind = SaEventKind::IkeUp;
    // Of events about a CHILD_SA: with that one alone, and of a rekey with the new one. Of an
    // IkeRekey: the new one, which has no child_sas here.
    IkeSa ike{};
    std::optional<IkeSa> old_ike{};      // of an IkeRekey
    std::optional<ChildSa> old_child{};  // of a ChildRekey
};

// ike-updown, child-updown, ike-rekey, child-rekey. Another name is Code::Unsupported.
Result<SaEvent> parse_sa_event(std::string_view name, const Message& event);

}  // namespace cvlan::vici
