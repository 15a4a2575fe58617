// The accordion's and the player's part in the page. Every id and class starts with "animatediff".

(() => {
    const TABS = ["txt2img", "img2img"];
    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const find = (selector) => root().querySelector(selector);
    const ours = (tab, name) => find(`#animatediff_${tab}_${name}`);

    function create(tag, properties = {}, ...children) {
        const element = Object.assign(document.createElement(tag), properties);
        element.append(...children);
        return element;
    }

    // What the server's tables say: formats, hints for empty fields, tooltips

    let tables = null;

    function table(name) {
        tables ??= JSON.parse(find(".animatediff-data")?.dataset.page ?? "null");
        return tables?.[name] ?? {};
    }

    const formatOf = (file) => table("formats")[file.format] ?? {};

    // What the server cannot see: fields of the host's

    const fieldText = (selector) => find(`${selector} textarea, ${selector} input`)?.value ?? "";

    const checkpointTitle = () => fieldText("#setting_sd_model_checkpoint");

    window.animatediffWithCheckpoint = (model) => [model, checkpointTitle()];

    // `values` are an event's inputs, and then its outputs; the first input is a place for this text.
    window.animatediffWithPrompts = (tab, values) => {
        const page = {
            prompt: fieldText(`#${tab}_prompt`),
            negative_prompt: fieldText(`#${tab}_neg_prompt`),
            steps: find(`#${tab}_steps input[type=number]`)?.value ?? "",
            width: find(`#${tab}_width input[type=number]`)?.value ?? "",
            height: find(`#${tab}_height input[type=number]`)?.value ?? "",
        };
        return [JSON.stringify(page), ...values.slice(1)];
    };

    // The host's own paste button restores everything, from the text in the prompt.
    window.animatediffPaste = (tab, infotext) => {
        const prompt = find(`#${tab}_prompt textarea`);
        const paste = find(`#${tab}_tools #paste`) ?? find(`#${tab}_toprow #paste`) ?? find("#paste");
        if (infotext && prompt && paste) {
            prompt.value = infotext;
            prompt.dispatchEvent(new Event("input", {bubbles: true}));
            setTimeout(() => paste.click(), 200);
        }
        return [];
    };

    // Hints in empty fields

    function showHint(tab, name, text) {
        const input = ours(tab, name)?.querySelector("input");
        if (input && input.placeholder !== text) input.placeholder = text;
    }

    function showHints(tab) {
        const frames = ours(tab, "module_info")?.querySelector("[data-frames]")?.dataset.frames;
        const hints = {...table("hints"), ...(frames ? {batch_size: frames} : {})};
        for (const [name, text] of Object.entries(hints)) showHint(tab, name, text);
    }

    // The host has tooltips of its own for names that it knows, so ours are put in their place.
    function showTooltips(tab) {
        for (const [name, text] of Object.entries(table("tooltips"))) {
            const element = ours(tab, name);
            if (element && element.title !== text) element.title = text;
        }
        ours(tab, "format")?.querySelector("[data-testid=block-info][title]")?.removeAttribute("title");
    }

    // A video that is dropped on the field of its name, where a browser would leave the page to play it

    const DROP = "animatediff-drop";
    const dropZones = new WeakSet();

    function acceptDrops(tab) {
        const zone = ours(tab, "video_source")?.closest(".animatediff-row");
        const upload = zone?.querySelector("input[type=file]");
        if (!upload || dropZones.has(zone)) return;
        dropZones.add(zone);
        for (const type of ["dragover", "dragleave", "drop"]) {
            zone.addEventListener(type, (event) => {
                if (!event.dataTransfer?.types.includes("Files")) return;
                event.preventDefault();
                event.stopPropagation();
                zone.classList.toggle(DROP, type === "dragover");
                if (type !== "drop") return;
                const dropped = new DataTransfer();
                dropped.items.add(event.dataTransfer.files[0]);
                upload.files = dropped.files;
                upload.dispatchEvent(new Event("change", {bubbles: true}));
            });
        }
    }

    // The checkpoint

    let checkedTitle = null;

    function checkAgain() {
        if (!ours("txt2img", "check") || checkedTitle === checkpointTitle()) return;
        checkedTitle = checkpointTitle();
        for (const tab of TABS) ours(tab, "check")?.click();
    }

    // The player

    const shownInfo = {};

    function readInfo(tab) {
        const text = fieldText(`#generation_info_${tab}`);
        if (text === shownInfo[tab]) return undefined;
        shownInfo[tab] = text;
        try {
            return JSON.parse(text);
        } catch {
            return null; // nothing generated yet
        }
    }

    const fileUrl = (file) => `file=${file.path.split(/[\\/]/).map(encodeURIComponent).join("/")}?${encodeURIComponent(shownInfo.stamp)}`;

    function step(video, fps, frames) {
        video.pause();
        const length = video.duration || 0;
        const middle = (Math.floor(video.currentTime * fps + 1e-3) + frames + 0.5) / fps;
        video.currentTime = length ? ((middle % length) + length) % length : 0;
    }

    function control(label, title, action) {
        const button = create("button", {type: "button", textContent: label, title, className: "animatediff-control"});
        button.addEventListener("click", () => action(button));
        return button;
    }

    function buildVideo(file) {
        const video = create("video", {
            src: fileUrl(file), loop: true, muted: true, autoplay: true, controls: true, playsInline: true,
        });
        const toggleLoop = (button) => {
            video.loop = !video.loop;
            button.setAttribute("aria-pressed", String(video.loop));
        };
        const loop = control("Loop", "Play again and again", toggleLoop);
        loop.setAttribute("aria-pressed", "true");
        return [video, create("div", {className: "animatediff-controls"},
            control("◀ Frame", "One frame back", () => step(video, file.fps, -1)),
            control("Frame ▶", "One frame on", () => step(video, file.fps, 1)),
            loop,
        )];
    }

    function buildDownloads(files) {
        const written = files.filter((file) => !file.error && !formatOf(file).is_folder);
        const links = written.map((file) => create("a", {
            href: fileUrl(file), download: file.name, textContent: `⬇ ${file.name}`, className: "animatediff-control",
        }));
        return create("div", {className: "animatediff-downloads"}, ...links);
    }

    function buildClip(files) {
        const playable = files.find((file) => formatOf(file).is_playable && !file.error);
        const failed = files.filter((file) => file.error);
        return create("div", {className: "animatediff-clip"},
            ...(playable ? buildVideo(playable) : []),
            buildDownloads(files),
            ...failed.map((file) => create("div", {
                className: "animatediff-warning", textContent: `${file.format}: ${file.error}`,
            })),
        );
    }

    function placePlayer(tab) {
        const existing = ours(tab, "player");
        if (existing) return existing;
        const gallery = find(`#${tab}_gallery_container`) ?? find(`#${tab}_gallery`);
        if (!gallery) return null;
        const player = create("div", {id: `animatediff_${tab}_player`, className: "animatediff-player"});
        gallery.after(player);
        return player;
    }

    function showPlayer(tab) {
        const info = readInfo(tab);
        const player = info === undefined ? null : placePlayer(tab);
        if (!player) return;
        const clips = new Map();
        for (const file of info?.animatediff ?? []) {
            clips.set(file.clip, [...(clips.get(file.clip) ?? []), file]);
        }
        shownInfo.stamp = info?.job_timestamp ?? "";
        ours(tab, "check")?.click(); // the module is in memory now
        player.replaceChildren(...[...clips.values()].map(buildClip));
    }

    function update() {
        for (const tab of TABS) {
            showHints(tab);
            showTooltips(tab);
            showPlayer(tab);
            acceptDrops(tab);
        }
        checkAgain();
    }

    if (typeof onAfterUiUpdate === "function") onAfterUiUpdate(update);
    else onUiUpdate(update);
})();
