"""FFmpeg's names of file formats, by what becomes of a file of each; all others are no video.

Formats of games that name other files, or are found by the name of a file alone, are left out.
"""

VIDEO = (
    "mov,matroska,avi,asf,asf_o,flv,live_flv,kux,mpeg,mpegts,mpegtsraw,mpegvideo,ogg,rm,ivr,nut,mxf,gxf,dv,wtv,nsv,swf,"
    "gif,apng,webp_anim,jpegxl_anim,yuv4mpegpipe,ivf,obu,av1,apv,h261,h263,h264,hevc,vvc,evc,m4v,mjpeg,mjpeg_2000,"
    "smjpeg,mpjpeg,dirac,vc1,vc1test,cavsvideo,avs,avs2,avs3,dnxhd,pva,ty,thp,nuv,lxf,cine,r3d,dhav,bink,smk,roq,"
    "film_cpk,flic,idcin,ipmovie,ipu,ifv,vivo,xmv,moflex,4xm,anm,bethsoftvid,bfi,bmv,c93,cdxl,dfa,dsicin,dxa,ea,"
    "filmstrip,frm,gdv,hnm,iff,iv8,jv,lvf,luodat,mm,mtv,mv,mvi,paf,pmp,psxstr,rl2,rpl,ser,siff,smush,tiertexseq,tmv,"
    "vividas,vmd,wc3movie,wsvqa,yop,usm"
)
"""Formats that may hold a video in themselves."""
SOUND = (
    "aac,ac3,eac3,aiff,amr,amrnb,amrwb,ape,au,caf,dsf,dts,dtshd,flac,loas,mlp,mp3,mpc,mpc8,qcp,shn,tak,truehd,tta,voc,"
    "w64,wav,wv,oma,xwma"
)
"""Formats of sound, which are looked at to say so."""
REFERRING = "hls,dash,concat,sdp,rtsp,rtp,sap,imf,image2,webm_dash_manifest,mlv,vobsub,avisynth,cdg"
"""Formats that name other files or addresses, which hold the pictures."""
STILL_CODECS = "jpeg,mjpeg,jpegls,jpeg2000,jpegxl,png,bmp,tiff,webp,ppm,targa"
"""Codecs of pictures, which videos also use for thumbnails and covers."""
