// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a gateway with PCP, NAT-PMP or both answers to requests of UDP mappings. Pure; its clock is
// set by the test.

#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "reach/big_endian.h"
#include "reach/pcp.h"

namespace cvlan::tests {

struct FakeGateway {
    struct Mapped {
        reach::pcp::Nonce nonce{};
        uint16_t external = 0;
        uint32_t lifetime_s = 0;
        bool operator==(const Mapped&) const = default;
    };

    bool has_pcp = true;
    bool has_natpmp = true;
    Address external = Address::parse("203.0.113.7").value();
    uint32_t epoch_s = 1000;
    uint32_t lifetime_s = 0;  // what it gives whatever is asked; 0: what is asked
    uint16_t refusal = 0;     // instead of a mapping
    uint32_t refusal_s = 0;
    std::optional<uint16_t> port{};         // instead of the one suggested
    std::map<uint16_t, Mapped> mappings{};  // by internal port
    std::vector<Bytes> requests{};

    std::vector<Bytes> answer(ByteView request) {
        requests.emplace_back(request.begin(), request.end());
        if (request.size() >= 2 && request[0] == 0 && has_natpmp) return {natpmp(request)};
        if (request.size() == 60 && request[0] == 2 && has_pcp) return {pcp(request)};
        if (request.size() >= 2 && request[0] == 2 && has_natpmp)
            return {natpmp_header(static_cast<uint8_t>(request[1] + 128), 1)};
        return {};
    }

    Bytes announcement(bool as_pcp) const {
        if (as_pcp) {
            Bytes bytes(24);
            bytes[0] = 2;
            bytes[1] = 0x80;
            reach::write_u32(&bytes[8], epoch_s);
            return bytes;
        }
        return address_answer();
    }
    // All mappings are gone, the clock begins anew.
    void reboot() {
        mappings.clear();
        epoch_s = 0;
    }
    size_t count(uint8_t version) const {
        size_t found = 0;
        for (const Bytes& request : requests) found += request[0] == version;
        return found;
    }

private:
    Bytes natpmp_header(uint8_t opcode, uint16_t outcome) const {
        Bytes bytes(8);
        bytes[1] = opcode;
        reach::write_u16(&bytes[2], outcome);
        reach::write_u32(&bytes[4], epoch_s);
        return bytes;
    }
    Bytes address_answer() const {
        Bytes bytes = natpmp_header(128, 0);
        bytes.insert(bytes.end(), external.bytes().begin(), external.bytes().end());
        return bytes;
    }
    Bytes natpmp(ByteView request) {
        if (request.size() == 2) return address_answer();
        const uint16_t internal = reach::read_u16(&request[4]);
        const uint32_t asked_s = reach::read_u32(&request[8]);
        Bytes bytes = natpmp_header(129, refusal);
        bytes.resize(16);
        reach::write_u16(&bytes[8], internal);
        if (refusal != 0) return bytes;
        const auto mapped = keep(internal, reach::read_u16(&request[6]), {}, asked_s);
        reach::write_u16(&bytes[10], mapped.external);
        reach::write_u32(&bytes[12], mapped.lifetime_s);
        return bytes;
    }
    Bytes pcp(ByteView request) {
        Bytes bytes(request.begin(), request.end());
        bytes[1] |= 0x80;
        const uint16_t internal = reach::read_u16(&request[40]);
        reach::pcp::Nonce nonce;
        std::copy_n(request.begin() + 24, nonce.size(), nonce.begin());
        const auto known = mappings.find(internal);
        const bool is_others = known != mappings.end() && known->second.nonce != nonce;
        bytes[3] = static_cast<uint8_t>(is_others ? 2 : refusal);
        std::memset(&bytes[12], 0, 12);
        reach::write_u32(&bytes[4], is_others ? 7200 : refusal_s);
        reach::write_u32(&bytes[8], epoch_s);
        if (bytes[3] != 0) return bytes;
        const auto mapped =
            keep(internal, reach::read_u16(&request[42]), nonce, reach::read_u32(&request[4]));
        reach::write_u32(&bytes[4], mapped.lifetime_s);
        reach::write_u16(&bytes[42], mapped.external);
        std::copy_n(external.bytes().begin(), 4, bytes.begin() + 56);
        return bytes;
    }
    Mapped keep(uint16_t internal, uint16_t suggested, const reach::pcp::Nonce& nonce,
                uint32_t asked_s) {
        if (asked_s == 0) {
            mappings.erase(internal);
            return {nonce, 0, 0};
        }
        return mappings[internal] = {nonce, port.value_or(suggested),
                                     lifetime_s != 0 ? lifetime_s : asked_s};
    }
};

}  // namespace cvlan::tests
