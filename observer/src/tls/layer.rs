//! Which file lies under an overlay. Probes are of the file of the layer, which all containers of one image share; processes'
//! mappings name the overlay's own file since Linux 6.8 or so, another one in each container. Attached for each of them, each
//! probe would be hit as often as there are containers.

use std::fs::File;
use std::os::fd::AsRawFd;

/// What is the same for two files of overlays that are one file of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layer(Box<[u8]>);

/// `OVERLAYFS_SUPER_MAGIC` of `linux/magic.h`.
const OVERLAY: u64 = 0x794c_7630;
/// `AT_HANDLE_FID`: a handle to compare by, not to open by, which overlays give since Linux 6.6.
const TO_COMPARE: libc::c_int = 0x200;
/// `MAX_HANDLE_SZ`.
const LONGEST: usize = 128;

#[repr(C)]
struct Handle {
    length: u32,
    kind: i32,
    content: [u8; LONGEST],
}

impl Layer {
    /// `None`: of no overlay, or the kernel does not say.
    pub fn of(file: &File) -> Option<Self> {
        let system = rustix::fs::fstatfs(file).ok()?;
        if u64::try_from(system.f_type).ok()? != OVERLAY {
            return None;
        }
        let mut handle = Handle {
            length: LONGEST as u32,
            kind: 0,
            content: [0; LONGEST],
        };
        let mut mount = 0;
        #[expect(
            unsafe_code,
            reason = "a system call without a safe form; it writes no more than `length` bytes of the handle"
        )]
        // SAFETY: `Handle` is laid out as `struct file_handle` with room for the longest; all pointers are to live values.
        let result = unsafe {
            let handle = (&raw mut handle).cast::<libc::file_handle>();
            let flags = TO_COMPARE | libc::AT_EMPTY_PATH;
            libc::name_to_handle_at(file.as_raw_fd(), c"".as_ptr(), handle, &raw mut mount, flags)
        };
        if result != 0 {
            return None;
        }
        let Handle {
            length,
            kind,
            content,
        } = handle;
        let content = content.get(..usize::try_from(length).ok()?)?;
        Some(Self([&kind.to_ne_bytes(), content].concat().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skip::skipped;
    use std::process::Command;

    #[test]
    fn of_no_overlay() {
        assert_eq!(Layer::of(&File::open("/proc/self/maps").unwrap()), None);
    }

    /// In a mount namespace of its own, which takes privileges; the two are reached through its process.
    #[test]
    fn two_overlays_of_one_layer() {
        const TEST: &str = "tls::layer::two_overlays_of_one_layer";
        const MOUNT: &str = "mount -t tmpfs t $0 && cd $0 && mkdir l u1 w1 m1 u2 w2 m2 && echo x >l/x && echo y >l/y && \
            for i in 1 2; do mount -t overlay o -o lowerdir=l,upperdir=u$i,workdir=w$i m$i || exit 1; done && \
            echo 1 && exec sleep 600";
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", MOUNT]).arg(folder.path());
        let Ok(mut child) = command.stdout(std::process::Stdio::piped()).spawn() else {
            return skipped(TEST, "no unshare here");
        };
        let mut ready = [0];
        let read = std::io::Read::read(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let root = format!("/proc/{}/root{}", child.id(), folder.path().display());
        let open = |name: &str| File::open(format!("{root}/{name}")).unwrap();
        let layers = (read == 1).then(|| ["m1/x", "m2/x", "m1/y"].map(|name| Layer::of(&open(name))));
        child.kill().unwrap();
        child.wait().unwrap();
        match layers {
            None => skipped(TEST, "overlays cannot be mounted"),
            Some([None, ..]) => skipped(TEST, "this kernel does not say what lies under an overlay"),
            Some([one, same, other]) => {
                assert_eq!(one, same);
                assert_ne!(one, other);
            }
        }
    }
}
