//! seccomp: the system calls that serving takes, and no others: what was seen under strace while the tests ran, and what the
//! C library, SQLite and tokio turn to on other kernels.
//!
//! A call that is not among them fails with EPERM and the process goes on: whoever broke in gets nothing by trying, and a
//! library that tries something new does not end everybody's mail.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::ConfineError;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Allowed whatever they are about: Landlock and the lack of capabilities decide what they reach.
#[rustfmt::skip]
const FREE: &[i64] = &[
    // Octets in and out.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_lseek, libc::SYS_sendfile,
    libc::SYS_splice, libc::SYS_copy_file_range,
    // Files and directories.
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_close, libc::SYS_close_range, libc::SYS_fstat, libc::SYS_newfstatat,
    libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_fcntl, libc::SYS_flock, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_fallocate, libc::SYS_fadvise64, libc::SYS_ftruncate,
    libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_linkat,
    libc::SYS_readlinkat, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_fchmod, libc::SYS_fchmodat,
    libc::SYS_fchown, libc::SYS_utimensat, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_umask, libc::SYS_dup,
    libc::SYS_dup3, libc::SYS_pipe2,
    // Waiting.
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_ppoll,
    libc::SYS_pselect6, libc::SYS_eventfd2, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch, libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_restart_syscall,
    // Sockets that are there already.
    libc::SYS_accept4, libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_recvmmsg, libc::SYS_sendto, libc::SYS_sendmsg,
    libc::SYS_sendmmsg, libc::SYS_shutdown, libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_getsockname,
    libc::SYS_getpeername,
    // Memory.
    libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_mincore, libc::SYS_brk, libc::SYS_membarrier,
    // Threads and signals of its own.
    libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_rseq, libc::SYS_set_tid_address,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_getcpu, libc::SYS_gettid, libc::SYS_getpid,
    libc::SYS_getppid, libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait, libc::SYS_sigaltstack, libc::SYS_exit, libc::SYS_exit_group,
    // Asking.
    libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getrandom,
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_getrusage, libc::SYS_sysinfo, libc::SYS_uname,
];

/// The older forms of some of them, which x86-64 has besides.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: &[i64] = &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_mkdir,
    libc::SYS_rmdir, libc::SYS_unlink, libc::SYS_rename, libc::SYS_chmod, libc::SYS_getdents, libc::SYS_dup2,
    libc::SYS_pipe, libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_wait, libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// Calls whose arguments say whether they are allowed: the first list of conditions that holds allows.
fn conditional(connect: bool) -> Result<Rules, BackendError> {
    let thread = libc::CLONE_THREAD as u64;
    let exec = libc::PROT_EXEC as u64;
    let own = u64::from(std::process::id());
    let is = |argument, value: i64| when(argument, SeccompCmpOp::Eq, value as u64);
    let not_executable = || SeccompRule::new(vec![when(2, SeccompCmpOp::MaskedEq(exec), 0)?]);
    let mut rules = Rules::new();
    // A thread, never a process.
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![when(0, SeccompCmpOp::MaskedEq(thread), thread)?])?]);
    // What is written is never run.
    rules.insert(libc::SYS_mmap, vec![not_executable()?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable()?]);
    // Signals to itself, which is how it aborts.
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, own as i64)?])?]);
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![is(0, 0)?])?]);
    let any_of = |argument, values: &[i64]| -> Result<Vec<SeccompRule>, BackendError> {
        values.iter().map(|value| SeccompRule::new(vec![is(argument, *value)?])).collect()
    };
    // The names of threads and of memory.
    rules.insert(libc::SYS_prctl, any_of(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA].map(i64::from))?);
    let requests = [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::TCGETS, libc::TIOCGWINSZ];
    rules.insert(libc::SYS_ioctl, any_of(1, &requests.map(|request| request as i64))?);
    // A Unix socket, to tell the service manager how it goes. Without bind and connect that is all it is good for.
    let unix = i64::from(libc::AF_UNIX);
    rules.insert(libc::SYS_socketpair, any_of(0, &[unix])?);
    if connect {
        let (v4, v6, netlink) = (libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK);
        rules.insert(libc::SYS_socket, any_of(0, &[unix, v4.into(), v6.into(), netlink.into()])?);
        rules.insert(libc::SYS_connect, Vec::new());
    } else {
        rules.insert(libc::SYS_socket, any_of(0, &[unix])?);
    }
    Ok(rules)
}

fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// Whether the filter is in force; this machine's processor may be one that it does not know.
pub(crate) fn restrict(connect: bool) -> Result<bool, ConfineError> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(false) };
    let failed = |error: &dyn std::fmt::Display| ConfineError::Filter { what: "seccomp", reason: error.to_string() };
    let allowed = allowed(connect, arch).map_err(|error| failed(&error))?;
    let absent = absent(arch).map_err(|error| failed(&error))?;
    // This order: the second one no longer allows to set up a filter.
    for program in [absent, allowed] {
        match seccompiler::apply_filter(&program) {
            Ok(()) => {}
            // A kernel built without seccomp.
            Err(seccompiler::Error::Seccomp(error)) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(false),
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(true)
}

fn allowed(connect: bool, arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let mut rules = conditional(connect)?;
    rules.extend(FREE.iter().chain(OLDER).map(|call| (*call, Vec::new())));
    // The other filter has a word on it, and the stricter one counts.
    rules.insert(libc::SYS_clone3, Vec::new());
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}

/// `clone3` hides its flags from a filter. Told that there is none, the C library turns to `clone`, whose flags are seen.
fn absent(arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let rules = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, absent, arch)?.try_into()
}
