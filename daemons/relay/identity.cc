// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/identity.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"

namespace cvlan::relayd {

namespace {

constexpr int kFormat = 1;

void wipe(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }

}  // namespace

Identity::~Identity() {
    wipe(kept.tls_key);
    if (kept.next_tls_key) wipe(*kept.next_tls_key);
}

std::string Identity::server_name() const {
    return fmt::format("{}.{}.{}", node_id(), kept.tenant_id, kept.trust_domain.value_or(""));
}

std::string Identity::trust_pem() const {
    std::string bundle;
    for (const std::string& root : kept.trust_bundle) bundle += root + "\n";
    return bundle;
}

Result<std::vector<pki::VerifyKey>> Identity::map_keys() const {
    std::vector<pki::VerifyKey> keys;
    for (const auto& known : kept.map_keys) {
        auto key = pki::VerifyKey::from_bytes(known.public_key);
        if (!key) return failed(key.error().while_doing("map key " + known.kid));
        keys.push_back(std::move(*key));
    }
    return keys;
}

Result<StateDir> StateDir::open(const std::string& path) {
    if (auto made = make_directories(path, 0700); !made)
        return failed(made.error().while_doing("state_dir"));
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0) return failed(errno_error("state_dir " + path));
    if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return fail(Code::Denied, "state_dir {}: must be this user's own, and closed to others",
                    path);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return fail(Code::Conflict, "another cvlan-relay is using {}", path);
        return failed(errno_error("lock state_dir " + path));
    }
    return StateDir(path, std::move(fd));
}

Result<std::vector<Identity>> StateDir::load_identities() const {
    std::error_code error;
    std::vector<std::string> tenants;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error))
        if (is_uuid(entry.path().filename().string()))
            tenants.push_back(entry.path().filename().string());
    if (error) return fail(Code::Internal, "list {}: {}", path_, error.message());
    std::sort(tenants.begin(), tenants.end());
    std::vector<Identity> identities;
    for (const std::string& tenant : tenants) {
        auto identity = load_identity(tenant);
        // A folder that was made, and then the power failed: no key of it was ever used.
        if (!identity && identity.error().code == Code::NotFound) continue;
        if (!identity) return failed(identity.error());
        identities.push_back(std::move(*identity));
    }
    return identities;
}

Result<Identity> StateDir::load_identity(const std::string& tenant_id) const {
    // Out of a token that nobody has verified, and the name of a folder.
    if (!is_uuid(tenant_id)) return fail(Code::Invalid, "the tenant's id is no UUID");
    const std::string path = folder_of(tenant_id) + "/identity.json";
    auto file = load_secret_state(path, kFormat);
    if (!file) return failed(file.error());
    auto kept = model::decode<state::IdentityState>(file->content, model::kDocument);
    wipe(file->content);
    if (!kept) return failed(kept.error().while_doing(path));
    if (kept->tenant_id != tenant_id)
        return fail(Code::Malformed, "{}: is the identity of another tenant", path);
    Identity identity;
    std::swap(identity.kept, *kept);
    return identity;
}

Result<void> StateDir::save_identity(const Identity& identity) const {
    const std::string folder = folder_of(identity.kept.tenant_id);
    if (auto made = make_directories(folder, 0700); !made) return made;
    std::string text = encode(identity.kept);
    auto saved = save_state(folder + "/identity.json", kFormat, text);
    wipe(text);
    return saved;
}

Result<wire::NodeMap> StateDir::load_map(const std::string& tenant_id) const {
    const std::string path = folder_of(tenant_id) + "/map.json";
    auto file = load_state(path, kFormat);
    if (!file) return failed(file.error());
    auto map = model::decode<wire::NodeMap>(file->content, model::kDocument);
    if (!map) return failed(map.error().while_doing(path));
    return map;
}

Result<void> StateDir::save_map(const std::string& tenant_id, const wire::NodeMap& map) const {
    return save_state(folder_of(tenant_id) + "/map.json", kFormat, encode(map));
}

}  // namespace cvlan::relayd
