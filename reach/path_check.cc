// SPDX-License-Identifier: Apache-2.0
#include "reach/path_check.h"

#include <algorithm>

#include "base/hmac.h"
#include "stun/attribute_reader.h"

namespace cvlan::reach {

namespace {

constexpr std::string_view kLabel = "cvlan path check v1";
constexpr std::string_view kIpsecLabel = "cvlan ipsec path check v1";

}  // namespace

Result<CheckKey> check_key(const wg::PrivateKey& mine, const wg::PublicKey& theirs,
                           CheckedFor what) {
    auto own = wg::public_key_of(mine);
    if (!own) return failed(own.error());
    auto shared = wg::shared_secret(mine, theirs);
    if (!shared) return failed(shared.error());
    const ByteView label = as_bytes(what == CheckedFor::Ipsec ? kIpsecLabel : kLabel);
    Bytes message(label.begin(), label.end());
    for (const wg::PublicKey& key : {std::min(*own, theirs), std::max(*own, theirs)})
        message.insert(message.end(), key.bytes().begin(), key.bytes().end());
    Bytes mac = hmac_sha256(shared->bytes(), message);
    CheckKey key{std::span<const uint8_t, 32>(mac)};
    OPENSSL_cleanse(mac.data(), mac.size());
    return key;
}

Transactions::Transactions() {
    const Bytes random = random_bytes(prefix_.size());
    std::copy(random.begin(), random.end(), prefix_.begin());
}

stun::TransactionId Transactions::of(uint64_t token) const {
    stun::TransactionId id{};
    std::copy(prefix_.begin(), prefix_.end(), id.begin());
    for (size_t i = 0; i < 8; ++i) id[4 + i] = static_cast<uint8_t>(token >> (56 - 8 * i));
    return id;
}

std::optional<uint64_t> Transactions::token_of(const stun::TransactionId& transaction) const {
    if (!std::equal(prefix_.begin(), prefix_.end(), transaction.begin())) return std::nullopt;
    uint64_t token = 0;
    for (size_t i = 4; i < transaction.size(); ++i) token = token << 8 | transaction[i];
    return token;
}

// A place: family (4 or 6), port, address.
Result<ByteView> write_request(std::span<uint8_t> buffer, const CheckRequest& request,
                               const CheckKey& key) {
    Bytes places;
    for (const Endpoint& one : request.places.first(std::min(request.places.size(), kMostPlaces))) {
        places.push_back(static_cast<uint8_t>(one.address.family()));
        places.push_back(static_cast<uint8_t>(one.port >> 8));
        places.push_back(static_cast<uint8_t>(one.port));
        const auto address = one.address.bytes();
        places.insert(places.end(), address.begin(), address.end());
    }
    stun::Builder builder(buffer, stun::Class::Request, stun::Method::Binding, request.transaction);
    builder.username(request.sender.text());
    if (!places.empty()) builder.other(kPlacesAttribute, places);
    return builder.integrity(key.bytes()).fingerprint().finish();
}

Result<ByteView> write_answer(std::span<uint8_t> buffer, const stun::Message& request,
                              const Endpoint& from, const CheckKey& key) {
    return stun::Builder(buffer, stun::Class::Success, stun::Method::Binding, request.transaction())
        .mapped(from)
        .integrity(key.bytes())
        .fingerprint()
        .finish();
}

std::optional<wg::PublicKey> sender_of(const stun::Message& request) {
    if (!request.is(stun::Class::Request, stun::Method::Binding) || !request.has_integrity() ||
        !request.unknown().empty() || !request.username())
        return std::nullopt;
    auto key = wg::PublicKey::parse(*request.username());
    return key ? std::optional(*key) : std::nullopt;
}

std::vector<Endpoint> places_in(ByteView datagram) {
    std::vector<Endpoint> places;
    stun::AttributeReader reader(datagram);
    while (reader.next()) {
        // What stands behind the integrity is not covered by it.
        if (reader.type() == static_cast<uint16_t>(stun::Type::MessageIntegritySha256)) break;
        if (reader.type() != kPlacesAttribute) continue;
        ByteView rest = reader.value();
        while (rest.size() >= 3 && places.size() < kMostPlaces) {
            const size_t size = rest[0] == 4 ? 4 : rest[0] == 6 ? 16 : 0;
            if (size == 0 || rest.size() < 3 + size) break;
            const auto port = static_cast<uint16_t>(rest[1] << 8 | rest[2]);
            if (auto address = Address::from_bytes(rest.subspan(3, size)))
                places.push_back({*address, port});
            rest = rest.subspan(3 + size);
        }
        break;
    }
    return places;
}

}  // namespace cvlan::reach
